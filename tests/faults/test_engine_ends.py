"""An engine that dies or hangs: whose answer had begun is told, every other is answered on a new engine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.conftest import ANSWER
from tests.faults.dialects import DIALECTS, objects
from tests.faults.injecting import Asked, begun, engines, loaded, measure, processes, until
from tests.running import Server, serving

ENDS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]
PATIENCE = 5


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Server]:
    with serving(models, OLLAMA_MAX_LOADED_MODELS="1", PUNA_WATCHDOG=str(PATIENCE)) as running:
        yield running


def answered(server: Server, model: str = "talker") -> None:
    """The next request is as good as ever, and no engine is left from before."""
    body = DIALECTS["chat"].asked(model, 20, stream=False)
    answer = httpx.post(f"{server.url}/api/chat", json=body, timeout=120)
    assert answer.json()["message"]["content"] == ANSWER
    until(lambda: len(engines(server)) == 1)
    assert measure(server, "puna_requests_waiting") == 0


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", DIALECTS)
def test_an_answer_that_had_begun_ends_with_one_error(server: Server, name: str, end: signal.Signals):
    dialect, engine = DIALECTS[name], loaded(server, "endless")
    with begun(server, dialect, 1 << 30) as rest:
        engine.send_signal(end)
        text = rest()
    (told,) = [one for one in objects(text) if "error" in one or "response.failed" in str(one)]
    assert end.name in dialect.error(told)
    answered(server)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", DIALECTS)
def test_an_answer_that_had_not_begun_is_run_again(server: Server, name: str, stream: bool):
    engine, dialect = loaded(server, "talker"), DIALECTS[name]
    failures = measure(server, "puna_engine_failures_total")
    engine.suspend()
    asked = Asked.in_dialect(server, dialect, "talker", stream=stream)
    until(lambda: measure(server, "puna_http_requests_running"))
    engine.kill()
    assert asked.answer.status_code == 200
    if not stream:
        assert ANSWER in asked.answer.text
    said = asked.answer.text
    assert "error" not in said.replace('"error":null', "")
    if name == "anthropic" and stream:
        assert said.count("event: message_start") == 1
    assert measure(server, "puna_engine_failures_total") == failures + 1
    answered(server)


def test_vectors_are_made_again(server: Server):
    body = {"model": "vectors", "input": ["one", "two"], "keep_alive": -1}
    before = httpx.post(f"{server.url}/api/embed", json=body, timeout=60).json()["embeddings"]
    (engine,) = engines(server)
    engine.suspend()
    asked = Asked(server, "/api/embed", body)
    until(lambda: measure(server, "puna_http_requests_running"))
    engine.kill()
    assert asked.answer.json()["embeddings"] == before


def test_a_request_whose_engines_all_die_is_told_so(server: Server):
    first = loaded(server, "endless")
    first.suspend()
    body = DIALECTS["chat"].asked("endless", 1 << 30, stream=False)
    asked = Asked(server, DIALECTS["chat"].path, body)
    until(lambda: measure(server, "puna_http_requests_running"))
    first.kill()
    second = until(lambda: [one for one in engines(server) if one.pid != first.pid])[0]
    second.kill()
    assert asked.answer.status_code == 500
    assert "SIGKILL" in DIALECTS["chat"].error(asked.answer.json())
    answered(server)


def test_an_engine_that_dies_as_it_loads_is_told_of(models: Path):
    """Without a standby, which would have loaded it too soon for the test."""
    with serving(models, PUNA_STANDBY="0") as server:
        asked = Asked.in_dialect(server, DIALECTS["openai"], "talker", stream=True)
        until(lambda: processes(server))[0].kill()
        assert asked.answer.status_code == 500
        assert "unable to load model" in DIALECTS["openai"].error(asked.answer.json())
        answered(server)


@pytest.mark.parametrize("name", ["chat", "openai", "anthropic"])
def test_an_engine_that_hangs_is_noticed(server: Server, name: str):
    dialect, engine = DIALECTS[name], loaded(server, "endless")
    with begun(server, dialect, 1 << 30) as rest:
        engine.suspend()
        text = rest()
    (told,) = [one for one in objects(text) if "error" in one]
    assert "hung" in dialect.error(told)
    until(lambda: not psutil.pid_exists(engine.pid))
    answered(server)


def test_an_engine_that_hangs_costs_an_answer_that_had_not_begun_only_time(server: Server):
    loaded(server, "talker").suspend()
    answered(server)


def test_a_step_that_takes_long_is_no_hang(models: Path):
    """On most machines the one step of this prompt takes longer than the patience, as the engine foresees."""
    with serving(models, PUNA_WATCHDOG="1") as server:
        body = {
            "model": "slow",
            "prompt": "word " * 1500,
            "raw": True,
            "stream": False,
            "options": {"num_predict": 1, "num_batch": 2048, "num_ctx": 2048},
        }
        answer = httpx.post(f"{server.url}/api/generate", json=body, timeout=300)
        assert answer.status_code == 200, answer.text
        assert not any("hung" in line for line in server.log)
