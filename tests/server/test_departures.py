"""A client that goes away frees what it held: an endless answer ends, and its model can be unloaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import Server, serving

ENDLESS = {
    "model": "endless",
    "prompt": "go",
    "options": {"num_ctx": 512, "num_predict": 100_000_000},
    "keep_alive": 0,
}


def wait_until_unloaded(http: httpx.Client) -> None:
    """`keep_alive` 0 unloads a model when the last answer on it ended, so this ends only if it did."""
    deadline = time.monotonic() + 30
    while any(model["name"] == "endless:latest" for model in http.get("/api/ps").json()["models"]):
        assert time.monotonic() < deadline, "the answer goes on"
        time.sleep(0.02)


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
def test_leaving_a_stream_ends_the_answer(http: httpx.Client, accept: str):
    with http.stream("POST", "/api/generate", json=ENDLESS, headers={"accept": accept}) as answer:
        lines = answer.iter_lines()
        assert "endless" in next(lines)
    wait_until_unloaded(http)


def test_leaving_before_a_whole_answer_ends_it(http: httpx.Client):
    body: dict[str, Any] = {**ENDLESS, "stream": False}
    with pytest.raises(httpx.ReadTimeout):
        http.post("/api/generate", json=body, timeout=httpx.Timeout(60, read=2))
    wait_until_unloaded(http)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/responses/input_tokens", {"input": "Hi"}),
        ("/api/tokenize", {"text": "Hi"}),
    ],
)
def test_who_leaves_while_waiting_for_a_count_leaves_the_queue(
    store: Path, add_scripted: Callable[..., Any], path: str, body: dict[str, Any]
):
    add_scripted("endless", "on and ", endless=True)
    add_scripted("other", "Hello")
    with (
        serving(store, OLLAMA_MAX_LOADED_MODELS="1") as server,
        httpx.stream("POST", f"{server.url}/api/generate", json=ENDLESS, timeout=60) as answer,
    ):
        lines = answer.iter_lines()  # Kept, because the stream is closed with it.
        next(lines)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}{path}", json={"model": "other", **body}, timeout=1)
        wait_until_nobody_waits(server)


def wait_until_nobody_waits(server: Server) -> None:
    deadline = time.monotonic() + 30
    while "puna_requests_waiting 0.0" not in httpx.get(f"{server.url}/metrics").text:
        assert time.monotonic() < deadline, "a request waits for nobody"
        time.sleep(0.02)
