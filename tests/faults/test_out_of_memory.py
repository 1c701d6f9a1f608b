"""Memory runs out in an engine: whose answer had begun is told, others are answered on a new one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.faults.conftest import ANSWER
from tests.faults.dialects import DIALECTS, objects
from tests.faults.injecting import (
    SHORTAGES,
    Asked,
    begun,
    engines,
    loaded,
    measure,
    shortage,
    standby,
    starve,
    until,
)
from tests.running import Server, serving

LONG_PROMPT = {
    "model": "endless",
    "prompt": "on and " * 400,
    "stream": False,
    "options": {"num_predict": 5},
}
"""Its evaluation takes memory that a short one's does not."""


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    """What its faults take comes back. A hang, too, may be what want of memory looks like."""
    with serving(models, OLLAMA_MAX_LOADED_MODELS="2", PUNA_WATCHDOG="5") as running:
        vectors(running, ["one"])
        before = holdings(running)
        yield running
        vectors(running, ["one"])
        after = holdings(running)
        assert after[0] < before[0] + (32 << 20)
        assert after[1] <= before[1] + 4


def holdings(server: Server) -> tuple[int, int]:
    """The server's resident bytes, and its open files, when no model is loaded."""
    unload(server)
    until(lambda: waiting(server))
    assert measure(server, "puna_requests_waiting") == 0
    process = psutil.Process(server.process.pid)
    return process.memory_info().rss, process.num_fds()


def unload(server: Server) -> None:
    for model in httpx.get(f"{server.url}/api/ps").json()["models"]:
        path = "embed" if model["name"] == "vectors:latest" else "generate"
        body = {"model": model["name"], "keep_alive": 0}
        httpx.post(f"{server.url}/api/{path}", json=body, timeout=60)
    until(lambda: not engines(server))


def answered(server: Server) -> None:
    """The next request is as good as ever."""
    body = DIALECTS["chat"].asked("talker", 20, stream=False)
    answer = httpx.post(f"{server.url}/api/chat", json=body, timeout=120)
    assert answer.json()["message"]["content"] == ANSWER


def waiting(server: Server) -> psutil.Process | None:
    """The process in which the next model is loaded."""
    found = [one for one in psutil.Process(server.process.pid).children() if standby(one)]
    return found[0] if found else None


@pytest.mark.parametrize(("name", "spare"), [("chat", 0), ("anthropic", 10 << 20), ("responses", 24 << 20)])
def test_as_a_model_loads(server: Server, name: str, spare: int):
    """Python's own memory, ggml's and that of threads: each fails in a way of its own."""
    unload(server)
    starve(until(lambda: waiting(server)), spare)
    asked = Asked.in_dialect(server, DIALECTS[name], "talker", stream=True)
    assert asked.answer.status_code == 500
    assert "unable to load model" in DIALECTS[name].error(asked.answer.json())
    answered(server)


@pytest.mark.parametrize("name", ["chat", "responses", "anthropic"])
def test_as_a_prompt_is_read(server: Server, name: str):
    """Whose answer had begun is told, once; who had only asked is answered by a new engine."""
    unload(server)
    engine, dialect = loaded(server, "endless"), DIALECTS[name]
    failures = measure(server, "puna_engine_failures_total")
    with begun(server, dialect, 1 << 30) as rest:
        starve(engine)
        other = Asked(server, "/api/generate", LONG_PROMPT)
        text = rest()
    (told,) = [one for one in objects(text) if "error" in one or "response.failed" in str(one)]
    assert dialect.error(told)
    assert other.answer.json()["eval_count"] == 5
    assert measure(server, "puna_engine_failures_total") == failures + 1
    assert len(engines(server)) == 1


@pytest.mark.parametrize("kind", SHORTAGES)
def test_another_model_never_notices(server: Server, kind: str):
    unload(server)
    vectors(server, ["one"])
    (engine,) = engines(server)
    texts = ["one two three " * 20] * 200
    with shortage(kind) as inject, begun(server, DIALECTS["chat"], 500) as rest:
        inject(engine)
        made = vectors(server, texts)
        told = objects(rest())
    assert told[-1]["done"]
    assert told[-1]["eval_count"] == 500
    assert not engine.is_running()
    assert made == vectors(server, texts)


def vectors(server: Server, texts: list[str]) -> Any:
    body = {"model": "vectors", "input": texts, "keep_alive": -1}
    return httpx.post(f"{server.url}/api/embed", json=body, timeout=120).json()["embeddings"]
