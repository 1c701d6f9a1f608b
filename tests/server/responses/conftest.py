"""One real server whose models answer in every way that the Responses API has a place for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import Server, serving
from tests.server.events import named_events
from tests.server.talkers import add_talkers


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(add_talkers(tmp_path_factory.mktemp("responses"))) as server:
        yield server


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream, numbered from 0."""
    found = named_events(text)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def response(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """The last event's object, which is what the events before it built; their order is as it must be."""
    created, progress, *middle, last = stream
    assert [event["type"] for event in (created, progress)] == ["response.created", "response.in_progress"]
    assert created["response"] == progress["response"]
    assert (created["response"]["status"], created["response"]["output"]) == ("in_progress", [])
    assert last["type"] == f"response.{last['response']['status']}"
    output: list[dict[str, Any]] = []
    steps: list[str] = []
    texts: list[str] = []
    item: dict[str, Any] = {}
    for event in middle:
        steps.append(event["type"].removeprefix("response."))
        if event["type"] == "response.output_item.added":
            assert event["output_index"] == len(output)
            steps, texts, item = steps[-1:], [], event["item"]
            assert item["status"] == "in_progress"
            continue
        assert event["output_index"] == len(output)
        assert event.get("item_id", item["id"]) == item["id"]
        if event["type"].endswith(".delta"):
            texts.append(event["delta"])
        elif event["type"] == "response.output_item.done":
            assert event["item"]["id"] == item["id"]
            output.append(event["item"])
            _check(event["item"], list(dict.fromkeys(steps)), "".join(texts))
        else:
            told = [event[name] for name in ("text", "arguments", "input") if name in event]
            assert told in ([], ["".join(texts)])
    assert output == last["response"]["output"]
    return last["response"]


def _check(item: dict[str, Any], steps: list[str], text: str) -> None:
    """The item has the text, and its events came in OpenAI's order."""
    if item["type"] == "tool_search_call":
        assert steps == ["output_item.added", "output_item.done"]
        return
    if item["type"] == "function_call":
        name, part, found = "function_call_arguments", [], item["arguments"]
    elif item["type"] == "custom_tool_call":
        name, part, found = "custom_tool_call_input", [], item["input"]
    elif item["type"] == "message":
        name, part, found = "output_text", ["content_part"], item["content"][0]["text"]
    else:
        name, part, found = "reasoning_summary_text", ["reasoning_summary_part"], item["summary"][0]["text"]
    assert found == text
    inner = [f"{name}.delta", f"{name}.done"]
    around = [f"{part[0]}.added", *inner, f"{part[0]}.done"] if part else inner
    assert steps == ["output_item.added", *around, "output_item.done"]
