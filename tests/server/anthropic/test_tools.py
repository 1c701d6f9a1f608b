"""Tools that Anthropic defines by their type: those a client runs are offered, the others are told of."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest

from puna.errors import BadRequest
from puna.inference import ChatInput
from puna.server.anthropic.conversion import chat_input
from puna.server.anthropic.requests import MessagesRequest
from puna.server.anthropic.tools import offer
from puna.server.body import decode
from puna.server.remote import Remote
from puna.types import Message

USER = {"role": "user", "content": "hi"}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}


async def request(
    *tools: dict[str, Any], messages: list[dict[str, Any]] | None = None, **fields: Any
) -> ChatInput:
    given = {"model": "m", "max_tokens": 9, "messages": messages or [USER], "tools": tools, **fields}
    body = decode(msgspec.json.encode(given), MessagesRequest)
    return await chat_input(body, offer(body.tools or ()), Remote())


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("bash_20250124", "bash", {"command": "ls"}),
    ("bash_20241022", "bash", {"restart": True}),
    ("text_editor_20250124", "str_replace_editor", {"command": "view", "path": "/a", "view_range": [1, -1]}),
    (
        "text_editor_20250728",
        "str_replace_based_edit_tool",
        {"command": "insert", "path": "/a", "insert_line": 0, "insert_text": "x"},
    ),
    (
        "memory_20250818",
        "memory",
        {"command": "rename", "old_path": "/memories/a", "new_path": "/memories/b"},
    ),
]


@pytest.mark.parametrize(("kind", "name", "call"), CALLS)
async def test_a_tool_that_the_client_runs_is_offered_with_its_schema(
    kind: str, name: str, call: dict[str, Any]
):
    wanted = await request({"type": kind, "name": name})
    (function,) = [tool["function"] for tool in wanted.tools]
    assert (function["name"], wanted.messages[0].role) == (name, "user")
    jsonschema.validate(call, function["parameters"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"command": 5}, function["parameters"])


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        (SEARCH, "web_search"),
        ({"type": "code_execution_20250825", "name": "code_execution"}, "code_execution"),
        ({"type": "mcp_toolset", "mcp_server_name": "files"}, "mcp_toolset"),
    ],
)
async def test_the_model_is_told_of_a_tool_that_nobody_runs(tool: dict[str, Any], name: str):
    own = {"name": "look", "input_schema": {"type": "object"}}
    wanted = await request(tool, own, system="Be brief.")
    assert [tool["function"]["name"] for tool in wanted.tools] == ["look"]
    assert wanted.messages[0].content == f"Be brief.\n\nThe tool {name} is not available."


async def test_a_tool_of_the_clients_own_takes_the_place_of_one_that_nobody_runs():
    wanted = await request(SEARCH, {"name": "web_search", "input_schema": {"type": "object"}})
    assert [tool["function"]["name"] for tool in wanted.tools] == ["web_search"]
    assert [message.role for message in wanted.messages] == ["user"]


async def test_such_a_tool_cannot_be_required():
    with pytest.raises(BadRequest, match=r'tool_choice: "web_search" is a tool of Anthropic'):
        await request(SEARCH, tool_choice={"type": "tool", "name": "web_search"})


async def test_tools_need_not_be_searched_for():
    search = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
    later = {"name": "look", "input_schema": {"type": "object"}, "defer_loading": True}
    found = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "tool_reference", "tool_name": "look"}],
    }
    turns = [USER, {"role": "user", "content": [found]}]
    wanted = await request(search, later, messages=turns)
    assert [tool["function"]["name"] for tool in wanted.tools] == ["look"]
    assert wanted.messages == [
        Message(role="user", content="hi"),
        Message(role="tool", content="look", tool_call_id="t"),
    ]


async def test_what_anthropics_servers_did_in_an_earlier_turn_is_read():
    hit = {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "…"}
    error = {"type": "web_fetch_tool_result_error", "error_code": "unavailable"}
    blocks = [
        {"type": "text", "text": "I look."},
        {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {"query": "a"}},
        {"type": "server_tool_use", "id": "2", "name": "web_fetch", "input": {"url": "b"}},
        {"type": "web_search_tool_result", "tool_use_id": "1", "content": [hit, hit]},
        {"type": "web_fetch_tool_result", "tool_use_id": "2", "content": error},
        {"type": "text", "text": "It is A."},
        {"type": "mcp_tool_use", "id": "3", "name": "read", "server_name": "files", "input": {}},
        {"type": "mcp_tool_result", "tool_use_id": "3", "content": [{"type": "text", "text": "a text"}]},
    ]
    turns = [USER, {"role": "assistant", "content": blocks}, USER]
    _, first, *middle, _ = (await request(messages=turns)).messages
    assert (first.content, [call["function"]["name"] for call in first.tool_calls]) == (
        "I look.",
        ["web_search", "web_fetch"],
    )
    assert [(turn.role, turn.content) for turn in middle] == [
        ("tool", "- A: https://a.example\n- A: https://a.example"),
        ("tool", '{"type":"web_fetch_tool_result_error","error_code":"unavailable"}'),
        ("assistant", "It is A."),
        ("tool", "a text"),
    ]
    assert middle[2].tool_calls[0]["id"] == middle[3].tool_call_id == "3"
