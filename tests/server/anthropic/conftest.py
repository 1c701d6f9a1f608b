"""One real server whose models answer in every way that Anthropic's API has a place for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.running import Server, serving
from tests.server.talkers import add_talkers


@pytest.fixture(scope="session")
def anthropic_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(add_talkers(tmp_path_factory.mktemp("anthropic"))) as server:
        yield server


@pytest.fixture
def claude(anthropic_server: Server) -> Iterator[httpx.Client]:
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01", "anthropic-beta": "anything-2026-01-01"}
    with httpx.Client(base_url=anthropic_server.url, headers=headers, timeout=60) as client:
        yield client


def message(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client puts together from the events, whose order is as it must be."""
    first, ping, *middle, delta, stop = stream
    assert (first["type"], ping["type"]) == ("message_start", "ping")
    assert (delta["type"], stop) == ("message_delta", {"type": "message_stop"})
    built = first["message"]
    assert built["content"] == []
    open_block = False
    for event in middle:
        kind, content = event["type"], built["content"]
        if kind == "ping":
            continue
        if kind == "content_block_start":
            assert not open_block
            content.append(event["content_block"])
            open_block = True
        else:
            assert open_block
        assert event["index"] == len(content) - 1
        if kind == "content_block_delta":
            _grow(content[-1], event["delta"])
        elif kind == "content_block_stop":
            open_block = False
    assert not open_block
    return {**built, **delta["delta"], "usage": {**built["usage"], **delta["usage"]}}


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] == "input_json_delta":
        block["input"] = json.loads(delta["partial_json"])
        return
    name = delta["type"].removesuffix("_delta")
    block[name] += delta[name]
