"""The web search that the server runs for Anthropic's clients and those of the Responses API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from puna.server.searching import SearchLimits
from tests.models import install, scripted_model
from tests.running import Server, serving
from tests.server.anthropic.conftest import message
from tests.server.events import named_events
from tests.server.search_engine import RESULTS
from tests.server.talkers import PARAMETERS, TEMPLATE

ROUNDS = 8
HELLO = [{"role": "user", "content": "hi"}]
WEATHER = {"name": "weather", "input_schema": PARAMETERS}


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


CALLED = {
    "searcher": call("web_search", query="why?"),
    "stray": call("web_search", query="other"),
    "both": call("weather", city="Paris", days=2) + "\n" + call("web_search", query="why?"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[Server]:
    """A server whose models search: `searcher` finds something, `stray` nothing, `both` calls a tool, too.

    `asker` says nothing before its call.
    """
    folder = tmp_path_factory.mktemp("searching")
    scripts = {name: f"<think>\n\n</think>\n\nI look. {calls}" for name, calls in CALLED.items()}
    for name, script in {**scripts, "asker": CALLED["searcher"]}.items():
        scripted_model(folder / "model.gguf", script, chat_template=TEMPLATE)
        install(folder / "models", name, folder / "model.gguf")
    with serving(folder / "models", PUNA_SEARCH_URL=engine) as running:
        yield running


def claude(client: httpx.Client, model: str = "searcher", **fields: Any) -> dict[str, Any]:
    """The answer, which is the same as a stream."""
    tool = {"type": "web_search_20250305", "name": "web_search", **fields.pop("search", {})}
    body = {"model": model, "max_tokens": 9000, "messages": HELLO, "temperature": 0}
    body |= {"tools": [tool, WEATHER], **fields}
    answer = client.post("/v1/messages", json=body).raise_for_status().json()
    stream = message(named_events(client.post("/v1/messages", json={**body, "stream": True}).text))
    for built in (answer, stream):
        del built["id"]
        ids = [block.pop("id") for block in built["content"] if "id" in block]
        pairs = [block.pop("tool_use_id") for block in built["content"] if "tool_use_id" in block]
        assert pairs == [id for id in ids if id.startswith("srvtoolu_")]
        read = built["usage"].pop("cache_read_input_tokens") + built["usage"].pop("input_tokens")
        built["usage"]["read"] = read
    assert answer == stream
    return answer


def test_claude_gets_the_search_and_its_results(client: httpx.Client):
    answer = claude(client, search={"max_uses": 2})
    text, searched, found, *_, last, refused = answer["content"]
    assert text == {"type": "text", "text": "I look."}
    assert searched == {"type": "server_tool_use", "name": "web_search", "input": {"query": "why?"}}
    assert [(each["type"], each["title"], each["url"]) for each in found["content"]] == [
        ("web_search_result", result["title"], result["url"]) for result in RESULTS[:5]
    ]
    assert last == searched
    exceeded = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    assert refused == {"type": "web_search_tool_result", "content": exceeded}
    assert len(answer["content"]) == 3 * ROUNDS
    assert answer["stop_reason"] == "end_turn"
    assert answer["usage"]["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}


def test_the_model_reads_what_was_found(client: httpx.Client):
    def prompt(search: dict[str, Any]) -> int:
        return claude(client, search={"max_uses": 1, **search})["usage"]["read"]

    assert prompt({}) > prompt({"allowed_domains": ["other.example"]}) + 20


def test_an_answer_with_searches_has_one_limit(client: httpx.Client):
    whole = claude(client)["usage"]["output_tokens"]
    cut = claude(client, max_tokens=whole - 10)
    assert cut["stop_reason"] == "max_tokens"
    assert cut["usage"]["output_tokens"] == whole - 10


def test_a_search_that_fails_does_not_end_the_answer(client: httpx.Client):
    answer = claude(client, "stray")
    assert answer["content"][2]["content"]["error_code"] == "unavailable"
    assert len(answer["content"]) == 3 * ROUNDS


def test_other_calls_are_left_to_the_client(client: httpx.Client):
    answer = claude(client, "both")
    assert [block["type"] for block in answer["content"]] == [
        *("text", "tool_use", "server_tool_use", "web_search_tool_result")
    ]
    assert answer["stop_reason"] == "tool_use"


def test_a_search_can_be_demanded_once(client: httpx.Client):
    demanded = {"type": "tool", "name": "web_search"}
    answer = claude(client, "asker", tool_choice=demanded, search={"max_uses": 1})
    assert len(answer["content"]) == 2 * ROUNDS
    output = responses(client, "asker", tool_choice={"type": "web_search"})[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["web_search_call"] * ROUNDS


def test_tokens_are_counted_with_the_tool(client: httpx.Client):
    def count(**fields: Any) -> int:
        body = {"model": "searcher", "messages": HELLO, **fields}
        return client.post("/v1/messages/count_tokens", json=body).json()["input_tokens"]

    assert count(tools=[{"type": "web_search_20250305", "name": "web_search"}]) > count() + 20


def responses(client: httpx.Client, model: str = "searcher", **fields: Any) -> list[dict[str, Any]]:
    body = {"model": model, "input": "hi", "tools": [{"type": "web_search"}], "stream": True, **fields}
    return named_events(client.post("/v1/responses", json=body).text)


def test_a_response_has_the_searches(client: httpx.Client):
    events = responses(client)
    last = events[-1]["response"]
    assert (events[-1]["type"], last["status"]) == ("response.completed", "completed")
    assert [item["type"] for item in last["output"]] == ["message", "web_search_call"] * ROUNDS
    search = last["output"][1]
    urls = [{"type": "url", "url": result["url"]} for result in RESULTS[:5]]
    assert search["action"] == {"type": "search", "query": "why?", "queries": ["why?"], "sources": urls}
    steps = [event["type"] for event in events if event.get("output_index") == 1]
    assert steps == [
        "response.output_item.added",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.output_item.done",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_a_response_without_results(client: httpx.Client):
    filtered = {"type": "web_search", "filters": {"allowed_domains": ["other.example"]}}
    (found,) = {len(item["action"]["sources"]) for item in searches(responses(client, tools=[filtered]))}
    assert found == 0
    assert {item["status"] for item in searches(responses(client, "stray"))} == {"failed"}


def searches(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in events[-1]["response"]["output"] if item["type"] == "web_search_call"]


def test_a_response_is_continued_after_a_search(client: httpx.Client):
    first = responses(client)[-1]["response"]["id"]
    assert responses(client, previous_response_id=first)[-1]["type"] == "response.completed"


def test_the_official_clients_know_the_items(server: Server):
    with anthropic.Anthropic(base_url=server.url, api_key="any") as claude:
        told = claude.messages.create(
            model="both",
            max_tokens=999,
            messages=[{"role": "user", "content": "hi"}],
            tools=[{"type": "web_search_20250305", "name": "web_search"}, WEATHER],  # pyright: ignore[reportArgumentType]
        )
        found = told.content[-1]
        assert isinstance(found, anthropic.types.WebSearchToolResultBlock)
        assert isinstance(found.content, list)
        assert found.content[0].title == "T0"
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
        answer = client.responses.create(model="searcher", input="hi", tools=[{"type": "web_search"}])
        search = answer.output[1]
        assert search.type == "web_search_call"
        assert search.action.type == "search"


@pytest.mark.parametrize(
    ("limits", "url", "allows"),
    [
        (SearchLimits(), "http://a.example/x", True),
        (SearchLimits(allowed=["a.example"]), "http://a.example/x", True),
        (SearchLimits(allowed=["https://A.example/docs"]), "http://www.a.example/x", True),
        (SearchLimits(allowed=["a.example"]), "http://nota.example/x", False),
        (SearchLimits(allowed=["a.example"]), "http://[", False),
        (SearchLimits(blocked=["*.a.example"]), "http://www.a.example/x", False),
        (SearchLimits(blocked=["a.example"]), "http://b.example/a.example", True),
    ],
)
def test_domains(limits: SearchLimits, url: str, allows: bool):
    assert limits.allows(url) is allows


def test_a_client_may_have_a_tool_of_that_name(client: httpx.Client):
    schema = {"type": "object", "properties": {"query": {"type": "string"}}}
    own = {"name": "web_search", "input_schema": schema}
    answer = claude(client, tools=[{"type": "web_search_20250305", "name": "web_search"}, own])
    assert [block["type"] for block in answer["content"]] == ["text", "tool_use"]
    mine = {"type": "function", "name": "web_search", "parameters": schema}
    output = responses(client, tools=[{"type": "web_search"}, mine])[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]
