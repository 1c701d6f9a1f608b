"""What inference is asked for an Anthropic request."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from puna.chat import MEDIA_MARKER
from puna.errors import BadRequest
from puna.inference import ChatInput
from puna.server.anthropic.conversion import chat_input
from puna.server.anthropic.requests import MessagesRequest
from puna.server.anthropic.tools import offer
from puna.server.body import decode
from puna.server.remote import Remote
from puna.types import MediaFile, Message

PNG = b"\x89PNG\r\n\x1a\n picture"
PICTURED = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()},
}
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "it"}}


async def request(**fields: Any) -> ChatInput:
    given = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    body = decode(msgspec.json.encode(given), MessagesRequest)
    return await chat_input(body, offer(body.tools or ()), Remote())


async def messages(*turns: tuple[str | None, Any], **fields: Any) -> list[Message]:
    given = [{"role": role, "content": content} for role, content in turns]
    return (await request(messages=given, **fields)).messages


async def test_the_system_prompt_comes_first():
    turns = await messages(("user", "hi"), system="Be brief.")
    assert turns == [Message(role="system", content="Be brief."), Message(role="user", content="hi")]


async def test_system_blocks_are_paragraphs_without_the_one_that_changes_with_every_request():
    blocks = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1a2b3;"},
        {"type": "text", "text": "You are a coder.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be brief."},
    ]
    first, _ = await messages(("user", "hi"), system=blocks)
    assert first == Message(role="system", content="You are a coder.\n\nBe brief.")


async def test_a_system_message_may_come_later():
    turns = await messages(("user", "hi"), ("system", "Now in French."), ("user", "bye"))
    assert [turn.role for turn in turns] == ["user", "system", "user"]


async def test_any_role_is_the_templates_to_take():
    result = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "yes"}]
    turns = await messages(("control", "thinking"), ("Developer", result), ("USER", "hi"), ("", "ho"))
    assert [(turn.role, turn.content) for turn in turns] == [
        ("control", "thinking"),
        ("tool", "yes"),
        ("user", "hi"),
        ("", "ho"),
    ]


async def test_one_that_only_changes_with_every_request_is_left_out():
    fickle = "x-anthropic-billing-header: cc_version=2; cch=1a2b3;"
    turns = await messages(("user", "hi"), ("system", fickle), ("assistant", "ho"), ("user", "hi"))
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]


async def test_one_that_comes_first_is_a_part_of_the_system_prompt():
    first, second = await messages(("system", "Be kind."), ("user", "hi"), system="Be brief.")
    assert first == Message(role="system", content="Be brief.\n\nBe kind.")
    assert second.role == "user"


async def test_a_summary_of_an_earlier_conversation_is_read():
    _, turn = await messages(
        ("user", "hi"), ("assistant", [{"type": "compaction", "content": "So far: hi."}])
    )
    assert turn == Message(role="assistant", content="So far: hi.")


async def test_pictures_are_where_they_were():
    parts = [{"type": "text", "text": "See"}, PICTURED, {"type": "text", "text": "this"}]
    (turn,) = await messages(("user", parts))
    assert turn == Message(
        role="user",
        content=f"See{MEDIA_MARKER}this",
        images=[MediaFile(PNG, "messages[0].content[1].source")],
    )


async def test_nobody_can_write_a_picture():
    turns = await messages(("user", MEDIA_MARKER), ("assistant", MEDIA_MARKER), system=MEDIA_MARKER)
    assert [MEDIA_MARKER in turn.content for turn in turns] == [False, False, False]


async def test_documents_and_search_results_are_text():
    parts = [
        {
            "type": "document",
            "title": "Notes",
            "context": "Of Monday",
            "source": {"type": "text", "media_type": "text/plain", "data": "one"},
        },
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "two"}]}},
        {
            "type": "search_result",
            "source": "doc.md",
            "title": "Doc",
            "content": [{"type": "text", "text": "3"}],
        },
    ]
    (turn,) = await messages(("user", parts))
    assert turn.content == "Notes\nOf Monday\none\ntwo\nDoc\ndoc.md\n3"


async def test_a_turn_of_the_models():
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "redacted_thinking", "data": "…"},
        {"type": "text", "text": "I look."},
        USE,
    ]
    call = {
        "id": "toolu_1",
        "type": "function",
        "function": {"index": 0, "name": "look", "arguments": {"at": "it"}},
    }
    _, turn = await messages(("user", "hi"), ("assistant", blocks))
    assert turn == Message(role="assistant", thinking="Hm.", content="I look.", tool_calls=[call])


async def test_results_come_before_what_else_is_said_and_know_their_tool():
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "text", "text": "a"}, PICTURED],
    }
    failed = {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no such file", "is_error": True}
    silent = {"type": "tool_result", "tool_use_id": "toolu_3"}
    said = {"type": "text", "text": "Go on."}
    turns = await messages(("user", "hi"), ("assistant", [USE]), ("user", [said, result, failed, silent]))
    assert turns[2:] == [
        Message(
            role="tool",
            content=f"a{MEDIA_MARKER}",
            images=[MediaFile(PNG, "messages[2].content[1].content[1].source")],
            tool_name="look",
            tool_call_id="toolu_1",
        ),
        Message(role="tool", content="Error:\nno such file", tool_call_id="toolu_2"),
        Message(role="tool", content="", tool_call_id="toolu_3"),
        Message(role="user", content="Go on."),
    ]


async def test_tools():
    wanted = await request(tools=[TOOL, {**TOOL, "name": "other", "type": "custom"}])
    function = {"name": "look", "description": "Looks.", "parameters": TOOL["input_schema"]}
    assert wanted.tools[0] == {"type": "function", "function": function}
    assert wanted.tools[1]["function"]["name"] == "other"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ("auto", "", True)),
        ({"type": "auto"}, ("auto", "", True)),
        ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", "", False)),
        ({"type": "any"}, ("required", "", True)),
        ({"type": "tool", "name": "look"}, ("required", "look", True)),
        ({"type": "none"}, ("none", "", True)),
    ],
)
async def test_the_choice_of_tools(choice: Any, expected: tuple[str, str, bool]):
    wanted = await request(tools=[TOOL], tool_choice=choice)
    assert (wanted.tool_choice, wanted.tool_name, wanted.parallel_calls) == expected


@pytest.mark.parametrize(
    ("fields", "think"),
    [
        ({}, False),
        ({"output_config": {"effort": "high"}}, False),
        ({"thinking": {"type": "disabled"}}, False),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
        ({"thinking": {"type": "adaptive"}}, True),
        ({"thinking": {"type": "between_tools"}}, True),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
    ],
)
async def test_thinking(fields: dict[str, Any], think: Any):
    wanted = await request(**fields)
    assert wanted.think == think
    assert wanted.think_if_able


@pytest.mark.parametrize("place", ["output_format", "output_config"])
async def test_the_answers_schema(place: str):
    form = {"type": "json_schema", "schema": {"type": "object"}}
    wanted = await request(**{place: form if place == "output_format" else {"format": form}})
    assert wanted.schema == {"type": "object"}


async def test_sampling():
    wanted = await request(stop_sequences=["a"], temperature=0.5, top_p=0.4, top_k=3)
    assert wanted.options == {"num_predict": 9, "stop": ["a"], "temperature": 0.5, "top_p": 0.4, "top_k": 3}
    left = (await request()).options
    assert {name for name, value in left.items() if value is not None} == {"num_predict"}


async def test_a_conversation_that_is_too_long_is_refused():
    wanted = await request()
    assert (wanted.truncate, wanted.shift) == (False, False)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "model: must not be empty"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"max_tokens": -1}, "max_tokens: must be 0 or more"),
    ({"max_tokens": "9"}, 'invalid value for "max_tokens": expected integer, got string'),
    ({"mcp_servers": [{"url": "x"}]}, "mcp_servers: not supported"),
    ({"tools": [{"name": "look"}]}, "tools[0]: a tool needs a name and an input_schema"),
    ({"tool_choice": {"type": "any"}}, "tool_choice: there are no tools"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, 'tool_choice: there is no tool "x"'),
    ({"thinking": {"type": "sometimes"}}, 'invalid value for "thinking.type"'),
    ({"system": [PICTURED]}, 'system[0]: a block of type "image" is not supported here'),
]
BAD_BLOCKS: list[tuple[str, dict[str, Any], str]] = [
    ("user", {"type": "thinking", "thinking": "x"}, 'a block of type "thinking" is not supported here'),
    ("user", {"type": "container_upload"}, 'a block of type "container_upload" is not supported here'),
    ("user", {"type": "tool_result", "content": "x"}, "a tool_result block needs a tool_use_id"),
    ("user", {"type": "image", "source": {"type": "file", "file_id": "f"}}, 'an image comes as "base64"'),
    ("user", {"type": "image", "source": {"type": "base64", "data": "?"}}, "it is not base64"),
    (
        "user",
        {"type": "image", "source": {"type": "url", "url": "file:///x"}},
        "only http, https and data URLs",
    ),
    ("user", {"type": "document", "source": {"type": "base64", "data": "x"}}, "PDF files are not supported"),
    ("assistant", PICTURED, 'a block of type "image" is not supported here'),
    ("assistant", {"type": "tool_use", "id": "1"}, "a tool_use block needs an id and a name"),
    ("assistant", {"type": "server_tool_use", "id": "1"}, "a server_tool_use block needs an id and a name"),
    ("assistant", {"type": "web_search_tool_result"}, "a web_search_tool_result block needs a tool_use_id"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD)
async def test_what_is_wrong_is_named(fields: dict[str, Any], reason: str):
    with pytest.raises(BadRequest) as refusal:
        await request(**fields)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(("role", "block", "reason"), BAD_BLOCKS)
async def test_a_block_that_cannot_be_read_is_named(role: str, block: dict[str, Any], reason: str):
    with pytest.raises(BadRequest) as refusal:
        await messages(("user", "hi"), (role, [block]))
    assert reason in str(refusal.value)
    assert "messages[1].content[0]" in str(refusal.value)
