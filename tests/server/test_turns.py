"""Whose turn it is, said in each dialect that can: a batch is served when nobody else waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.models import install, scripted_model
from tests.running import Server, serving

HELLO = [{"role": "user", "content": "Hi"}]
CHAT = {"model": "talker", "messages": HELLO, "stream": False}
BATCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/api/chat", CHAT | {"priority": "batch"}),
    "generate": ("/api/generate", {"model": "talker", "prompt": "Hi", "stream": False, "priority": 5}),
    "openai": ("/v1/chat/completions", CHAT | {"priority": 1}),
    "openai flex": ("/v1/chat/completions", CHAT | {"service_tier": "flex"}),
    "completions": ("/v1/completions", {"model": "talker", "prompt": "Hi", "service_tier": "flex"}),
    "responses": ("/v1/responses", {"model": "talker", "input": "Hi", "service_tier": "flex"}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("turns")
    gguf, store = folder / "model.gguf", folder / "models"
    scripted_model(gguf, "on and ", endless=True)
    install(store, "talker", gguf)
    with serving(store, OLLAMA_NUM_PARALLEL="1", OLLAMA_MAX_QUEUE="2") as running:
        yield running


def waiting(server: Server) -> float:
    lines = httpx.get(f"{server.url}/metrics", timeout=60).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("puna_requests_waiting "))


class Post:
    """A request in a thread; `done` has its name in it once it is answered."""

    answer: httpx.Response

    def __init__(self, server: Server, path: str, body: dict[str, Any], name: str, done: list[str]) -> None:
        def ask() -> None:
            # The batch takes longer, so that threads that are slow to wake change no order.
            most = 2 if name == "other" else 400
            limits = {"options": {"num_predict": most}, "max_tokens": most, "max_output_tokens": most}
            self.answer = httpx.post(f"{server.url}{path}", json=body | limits, timeout=120)
            done.append(name)

        self.thread = threading.Thread(target=ask)
        self.thread.start()


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_is_served_when_nobody_else_waits(server: Server, name: str):
    path, body = BATCHES[name]
    done: list[str] = []
    holding = {"model": "talker", "prompt": "Go", "options": {"num_predict": 100_000}}
    with httpx.stream("POST", f"{server.url}/api/generate", json=holding, timeout=120) as first:
        lines = first.iter_lines()
        next(lines)
        batch = Post(server, path, body, "batch", done)
        while waiting(server) < 1:
            pass
        other = Post(server, "/api/chat", CHAT, "other", done)
        while waiting(server) < 2:
            pass
        # The queue is full now.
        refused = httpx.post(f"{server.url}{path}", json=body, timeout=120)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        first.close()
    batch.thread.join()
    other.thread.join()
    assert (batch.answer.status_code, other.answer.status_code) == (200, 200), batch.answer.text
    assert done == ["other", "batch"]


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_an_unknown_priority_is_refused(server: Server, path: str):
    answer = httpx.post(f"{server.url}{path}", json=CHAT | {"priority": "urgent"})
    assert answer.status_code == 400
    assert "priority" in answer.text
    assert "batch" in answer.text
