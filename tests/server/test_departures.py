"""A client that goes away frees what it held: an endless answer ends, and its model can be unloaded."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

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
