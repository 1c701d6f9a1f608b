"""A server that is told to stop finishes its answers, refuses new ones, and ends cleanly."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.dialects import DIALECTS, objects
from tests.running import Server, serving

STOPPING = "server is shutting down"
FOREVER = 100_000_000


def began(answer: httpx.Response) -> Iterator[str]:
    """A stream whose first piece has come. To let go of it is to leave."""
    pieces = answer.iter_text()
    next(pieces)
    return pieces


def test_answers_under_way_are_finished(models: Path):
    body = DIALECTS["generate"].asked("endless", 3000, stream=True)
    with serving(models, PUNA_DRAIN="120") as server, httpx.Client(base_url=server.url, timeout=120) as http:
        with http.stream("POST", "/api/generate", json=body) as answer:
            pieces = answer.iter_lines()
            next(pieces)
            server.process.send_signal(signal.SIGTERM)
            last = objects(list(pieces)[-1])[0]
        assert (last["done"], last["done_reason"], last["eval_count"]) == (True, "length", 3000)
        assert server.process.wait(timeout=60) == 0


def test_who_comes_while_answers_are_finished_is_refused(models: Path):
    with serving(models, PUNA_DRAIN="120") as server, httpx.Client(base_url=server.url, timeout=60) as http:
        endless = DIALECTS["generate"].asked("endless", FOREVER, stream=True)
        with http.stream("POST", "/api/generate", json=endless) as answer:
            pieces = began(answer)
            server.process.send_signal(signal.SIGTERM)
            wait_until_refused(http)
            for dialect in DIALECTS.values():
                for stream in (False, True):
                    refused = http.post(dialect.path, json=dialect.asked("talker", 10, stream=stream))
                    # Anthropic has a status of its own for it.
                    assert refused.status_code == (529 if "messages" in dialect.path else 503)
                    assert dialect.error(refused.json()) == STOPPING
            vectors = http.post("/api/embed", json={"model": "talker", "input": []})
            assert vectors.status_code in (400, 503)
            assert http.post("/api/pull", json={"model": "any", "stream": False}).status_code == 503
            assert http.get("/api/tags").status_code == 200
            assert next(pieces)
        # The one that was waited for has left.
        assert server.process.wait(timeout=30) == 0


def wait_until_refused(http: httpx.Client) -> None:
    deadline = time.monotonic() + 30
    body = DIALECTS["chat"].asked("talker", 1, stream=False)
    while http.post("/api/chat", json=body).status_code != 503:
        assert time.monotonic() < deadline, "the server goes on"
        time.sleep(0.02)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_wait_for_answers_has_an_end(models: Path, name: str):
    dialect = DIALECTS[name]
    # Two dialects end an answer where its context ends, which a fast machine comes to.
    with serving(models, PUNA_DRAIN="200ms", OLLAMA_CONTEXT_LENGTH=str(1 << 17)) as server:
        body = dialect.asked("endless", FOREVER, stream=True)
        with httpx.stream("POST", f"{server.url}{dialect.path}", json=body, timeout=60) as answer:
            pieces = answer.iter_text()
            text = next(pieces)
            server.process.send_signal(signal.SIGTERM)
            text += "".join(pieces)
        told = [one for one in objects(text) if "error" in str(one)]
        assert dialect.error(told[-1]) == STOPPING
        assert server.process.wait(timeout=30) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_server_at_once(models: Path, first: int, second: int):
    with serving(models, PUNA_DRAIN="-1") as server, httpx.Client(base_url=server.url, timeout=60) as http:
        body = DIALECTS["generate"].asked("endless", FOREVER, stream=True)
        with http.stream("POST", "/api/generate", json=body) as answer:
            pieces = began(answer)
            engines = psutil.Process(server.process.pid).children(recursive=True)
            server.process.send_signal(first)
            wait_until_refused(http)
            assert server.process.poll() is None
            server.process.send_signal(second)
            assert server.process.wait(timeout=30) == 0
            del pieces
        _, alive = psutil.wait_procs(engines, timeout=60)
        assert not alive


def test_nothing_to_finish_ends_at_once(models: Path):
    with serving(models, PUNA_DRAIN="-1") as server:
        talk(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=30) == 0


def talk(server: Server) -> None:
    body = DIALECTS["chat"].asked("talker", 10, stream=False)
    assert httpx.post(f"{server.url}/api/chat", json=body, timeout=60).status_code == 200
