"""A prompt that was cut to the context says so, in the last object and in the log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.models import install, scripted_model
from tests.running import Server, serving

LONG = "word " * 200
GENERATE, CHAT = "/api/generate", "/api/chat"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("truncated")
    scripted_model(folder / "m.gguf", "Yes.")
    install(folder / "models", "m", folder / "m.gguf", parameters={"num_ctx": 256})
    with serving(folder / "models") as server:
        yield server


def last(server: Server, path: str, body: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    told = httpx.post(server.url + path, json={"model": "m", "stream": stream} | body, timeout=60)
    assert told.status_code == 200
    return json.loads(told.text.strip().splitlines()[-1])


def warnings(server: Server) -> int:
    return sum("did not fit" in line for line in server.log)


def turns(*texts: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts]}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "body", "cut"),
    [
        (GENERATE, {"prompt": "Hi"}, False),
        (GENERATE, {"prompt": LONG}, True),
        (GENERATE, {"prompt": LONG, "raw": True}, True),
        (GENERATE, {"prompt": LONG * 50}, True),
        (CHAT, turns("Hi", "there"), False),
        (CHAT, turns(LONG, "Hi"), True),  # the first message is left out
        (CHAT, turns(LONG), True),  # the last message alone is too long
    ],
)
def test_a_prompt_that_was_cut_says_so(
    server: Server, path: str, body: dict[str, Any], cut: bool, stream: bool
):
    warned = warnings(server)
    final = last(server, path, body, stream=stream)
    assert final["done"]
    assert final.get("truncated", False) is cut
    # The log is read by a thread of the test's own, which may be a little behind.
    deadline = time.monotonic() + 30
    while cut and warnings(server) == warned and time.monotonic() < deadline:
        time.sleep(0.01)
    assert warnings(server) - warned == cut
