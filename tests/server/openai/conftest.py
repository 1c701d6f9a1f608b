"""One real server whose models answer in every way that OpenAI's API has a place for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.models import scripted_model
from tests.running import Server, serving
from tests.server.conftest import SCRIPT, add_listener
from tests.server.talkers import add_talkers


def add_speakers(folder: Path) -> Path:
    """A store with the models of `add_talkers`, and `listener`."""
    store, gguf = add_talkers(folder), folder / "model.gguf"
    scripted_model(gguf, SCRIPT)
    add_listener(gguf, store)
    return store


@pytest.fixture(scope="session")
def openai_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(add_speakers(tmp_path_factory.mktemp("openai"))) as server:
        yield server


@pytest.fixture
def openai_http(openai_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=openai_server.url, timeout=60) as client:
        yield client


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The chunks of a stream, which ends as it should."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, last, nothing = answer.text.split("\n\n")
    assert (last, nothing) == ("data: [DONE]", "")
    return [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]
