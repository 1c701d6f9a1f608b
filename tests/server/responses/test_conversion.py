"""What inference is asked for a Responses request."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from puna.chat import MEDIA_MARKER
from puna.errors import BadRequest
from puna.inference import ChatInput
from puna.server.body import decode
from puna.server.remote import Remote
from puna.server.responses.conversion import FunctionOffer, chat_input, function_offer
from puna.server.responses.items import CUSTOM_PARAMETERS, encode_reasoning, messages
from puna.server.responses.requests import ResponsesRequest, check
from puna.types import MediaFile, Message

PNG = b"\x89PNG\r\n\x1a\n picture"
PICTURED = {
    "type": "input_image",
    "detail": "auto",
    "image_url": "data:image/png;base64," + base64.b64encode(PNG).decode(),
}
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}
OTHER = {"type": "function", "name": "other", "parameters": None}
CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"at": "it"}'}
CALLED = {
    "id": "call_1",
    "type": "function",
    "function": {"index": 0, "name": "look", "arguments": {"at": "it"}},
}


def body(**fields: Any) -> ResponsesRequest:
    return decode(msgspec.json.encode({"model": "m", "input": "hi", **fields}), ResponsesRequest)


def request(**fields: Any) -> ChatInput:
    given = body(**fields)
    check(given)
    return chat_input(given, [], function_offer(given))


async def turns(*items: dict[str, Any], before: list[Message] | None = None) -> list[Message]:
    given = body(input=list(items)).input
    assert given is not None
    return await messages(given, before or [], Remote())


async def test_a_text_is_what_a_person_says():
    assert await messages("hi", [], Remote()) == [Message(role="user", content="hi")]


async def test_any_role_is_the_templates_to_take():
    roles = ("control", "Developer", "USER", "document 1", "Assistant", "function")
    found = await turns(*({"role": role, "content": "hi"} for role in roles))
    assert [turn.role for turn in found] == ["control", "system", "user", "document 1", "assistant", "tool"]


async def test_messages():
    parts = [{"type": "input_text", "text": "See"}, PICTURED]
    answer = {"type": "output_text", "text": "Yes.", "annotations": []}
    found = await turns(
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "system", "content": "Be kind."},
        {"type": "message", "role": "user", "content": parts},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [answer]},
    )
    assert found == [
        Message(role="system", content="Be brief."),
        Message(role="system", content="Be kind."),
        Message(
            role="user",
            content=f"See{MEDIA_MARKER}",
            images=[MediaFile(PNG, "input[2].content[1].image_url")],
        ),
        Message(role="assistant", content="Yes."),
    ]


async def test_what_the_model_thought_said_and_called_is_one_turn():
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm."}],
    }
    said = {"role": "assistant", "content": "I look."}
    output = {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [{"type": "input_text", "text": "a"}, PICTURED],
    }
    found = await turns({"role": "user", "content": "hi"}, reasoning, said, CALL, output)
    assert found[1:] == [
        Message(role="assistant", thinking="Hm.", content="I look.", tool_calls=[CALLED]),
        Message(
            role="tool",
            content=f"a{MEDIA_MARKER}",
            images=[MediaFile(PNG, "input[4].output[1].image_url")],
            tool_name="look",
            tool_call_id="call_1",
        ),
    ]


async def test_what_the_model_thought_last_is_not_lost():
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    found = await turns({"role": "user", "content": "a"}, thought, {"role": "user", "content": "b"}, thought)
    assert [(turn.role, turn.thinking) for turn in found] == [
        ("user", ""), ("assistant", "Hm."), ("user", ""), ("assistant", "Hm."),
    ]  # fmt: skip


async def test_what_it_said_before_and_after_a_call_are_lines():
    said = [{"role": "assistant", "content": text} for text in ("First.", "Then.")]
    (turn,) = await turns(said[0], CALL, said[1])
    assert turn == Message(role="assistant", content="First.\nThen.", tool_calls=[CALLED])


async def test_an_output_knows_the_tool_that_was_called_in_an_earlier_answer():
    before = [Message(role="assistant", tool_calls=[CALLED])]
    (turn,) = await turns({"type": "function_call_output", "call_id": "call_1", "output": "a"}, before=before)
    assert turn.tool_name == "look"


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        (
            {
                "content": [{"type": "reasoning_text", "text": "Hm."}],
                "encrypted_content": encode_reasoning("Aha."),
            },
            "Hm.",
        ),
        ({"content": None, "encrypted_content": encode_reasoning("Ähm.")}, "Ähm."),
        (
            {"encrypted_content": "gAAAAABo_anothers", "summary": [{"type": "summary_text", "text": "So."}]},
            "So.",
        ),
        ({"encrypted_content": base64.b64encode(b"\xff\xfe").decode()}, ""),
        ({"encrypted_content": "As Ollama writes it."}, "As Ollama writes it."),
    ],
)
async def test_reasoning_in_the_forms_it_comes_back_in(fields: dict[str, Any], thinking: str):
    item = {"type": "reasoning", "id": "rs_1", "summary": [], **fields}
    (turn,) = await turns(item, {"role": "assistant", "content": "Yes."})
    assert turn == Message(role="assistant", thinking=thinking, content="Yes.")


def test_instructions_come_first_and_are_not_the_conversations():
    given = body(instructions="Be brief.")
    conversation = [Message(role="user", content="hi")]
    wanted = chat_input(given, conversation, FunctionOffer([], {}))
    assert wanted.messages == [Message(role="system", content="Be brief."), *conversation]
    assert len(conversation) == 1


def test_nobody_can_write_a_picture():
    wanted = chat_input(body(instructions=MEDIA_MARKER), [], FunctionOffer([], {}))
    assert MEDIA_MARKER not in wanted.messages[0].content


def test_tools():
    wanted = request(tools=[TOOL, {"type": "web_search"}, OTHER])
    assert wanted.tools == [
        {
            "type": "function",
            "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
        },
        {
            "type": "function",
            "function": {
                "name": "other",
                "parameters": {"type": "object", "properties": {}},
            },
        },
    ]


def test_functions_in_a_namespace_have_its_name_before_theirs():
    given = body(
        tools=[TOOL, {"type": "namespace", "name": "files", "description": "", "tools": [TOOL, OTHER]}]
    )
    tools, origins, _ = function_offer(given)
    assert [tool["function"]["name"] for tool in tools] == ["look", "files__look", "files__other"]
    assert origins == {
        "files__look": ("files", "look", "function"),
        "files__other": ("files", "other", "function"),
    }


def test_a_function_may_be_written_as_chat_completions_have_it():
    nested = {"type": "function", "function": {key: value for key, value in TOOL.items() if key != "type"}}
    chosen = {"type": "function", "function": {"name": "look"}}
    assert request(tools=[nested], tool_choice=chosen) == request(
        tools=[TOOL], tool_choice={"type": "function", "name": "look"}
    )


def test_a_tool_that_takes_text_is_a_function_with_one_argument():
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'}
    patch = {"type": "custom", "name": "patch", "description": "Patches.", "format": grammar}
    (tool,), origins, _ = function_offer(body(tools=[patch]))
    assert origins == {"patch": ("", "patch", "custom")}
    assert tool["function"]["parameters"] == CUSTOM_PARAMETERS
    assert tool["function"]["description"].startswith("Patches.\n\n")
    assert 'lark grammar:\nstart: "x"' in tool["function"]["description"]


async def test_calls_of_such_a_tool_and_what_came_of_them():
    call = {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "x"}
    output = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}
    called, answered = await turns(call, output)
    assert called.tool_calls[0]["function"] == {"index": 0, "name": "patch", "arguments": {"input": "x"}}
    assert answered == Message(role="tool", content="done", tool_name="patch", tool_call_id="call_1")


LATER = {"type": "namespace", "name": "files", "tools": [TOOL, OTHER]}
SEARCH = {
    "type": "tool_search",
    "execution": "client",
    "description": "Finds.",
    "parameters": {"type": "object"},
}
FOUND = [
    {"type": "tool_search_call", "call_id": "call_1", "execution": "client", "arguments": {"query": "x"}},
    {"type": "tool_search_output", "call_id": "call_1", "execution": "client", "tools": [LATER]},
]


async def test_a_search_for_tools_is_a_call_and_what_it_found_may_be_called():
    given = body(tools=[TOOL, SEARCH], input=FOUND)
    tools, origins, _ = function_offer(given)
    names = [tool["function"]["name"] for tool in tools]
    assert names == ["look", "tool_search", "files__look", "files__other"]
    assert origins["tool_search"] == ("", "tool_search", "tool_search")
    assert origins["files__look"] == ("files", "look", "function")
    called, answered = await turns(*FOUND)
    assert called.tool_calls[0]["function"]["arguments"] == {"query": "x"}
    assert answered == Message(
        role="tool", content="files__look, files__other", tool_name="tool_search", tool_call_id="call_1"
    )
    assert await turns({**FOUND[0], "call_id": None}, {**FOUND[1], "call_id": None}) == []


def test_tools_that_come_later_are_offered_once():
    later = {"type": "additional_tools", "role": "developer", "tools": [OTHER]}
    tools, *_ = function_offer(body(tools=[TOOL, {"type": "tool_search"}], input=[later, later]))
    assert [tool["function"]["name"] for tool in tools] == ["look", "other"]


async def test_what_other_servers_tools_did_is_passed_over():
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    found = await turns({"role": "user", "content": "hi"}, search, {"role": "assistant", "content": "Yes."})
    assert found == [Message(role="user", content="hi"), Message(role="assistant", content="Yes.")]


async def test_a_call_in_a_namespace_is_one_by_the_name_the_model_knows():
    (turn,) = await turns({**CALL, "namespace": "files"})
    assert turn.tool_calls[0]["function"]["name"] == "files__look"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ("auto", "", 2)),
        ("auto", ("auto", "", 2)),
        ("none", ("none", "", 2)),
        ("required", ("required", "", 2)),
        ({"type": "function", "name": "look"}, ("required", "look", 2)),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]},
            ("required", "", 1),
        ),
    ],
)
def test_the_choice_of_tools(choice: Any, expected: tuple[str, str, int]):
    wanted = request(tools=[TOOL, OTHER], tool_choice=choice)
    assert (wanted.tool_choice, wanted.tool_name, len(wanted.tools)) == expected


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        (None, None),
        ("none", False),
        ("minimal", "low"),
        ("medium", "medium"),
        ("xhigh", "max"),
        ("ultra", "max"),
        ("max", "max"),
    ],
)
def test_effort(effort: str | None, think: Any):
    wanted = request(reasoning={"effort": effort})
    assert wanted.think == think
    assert not wanted.think_if_able


def test_the_rest():
    plain = request()
    assert (plain.truncate, plain.shift, plain.parallel_calls, plain.logprobs, plain.schema) == (
        False, False, True, None, None,
    )  # fmt: skip
    assert plain.options == {"num_predict": None, "temperature": 1.0, "top_p": 1.0}
    told = request(
        max_output_tokens=5, temperature=0, top_p=0.5, truncation="auto", parallel_tool_calls=False
    )
    assert told.options == {"num_predict": 5, "temperature": 0, "top_p": 0.5}
    assert (told.truncate, told.parallel_calls) == (True, False)
    assert request(include=["message.output_text.logprobs"]).logprobs == 0
    assert request(top_logprobs=5).logprobs == 5
    assert request(text={"format": {"type": "text"}, "verbosity": "low"}).schema is None


BAD: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "model"),
    ({"input": ""}, "input"),
    ({"input": None}, "input"),
    ({"background": True}, "background"),
    ({"conversation": {"id": "conv_1"}}, "conversation"),
    ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"top_logprobs": 21}, "top_logprobs"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ({"tools": [{"type": "local_shell"}]}, "tools[0]"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [TOOL], "tool_choice": {"type": "mcp"}}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "x"}}, "tool_choice"),
    ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
]
BAD_ITEMS: list[tuple[dict[str, Any], str]] = [
    ({"type": "computer_call"}, "input[0]"),
    ({"type": "function_call", "name": "x"}, "input[0]"),
    ({"type": "function_call_output", "output": "x"}, "input[0]"),
    ({"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}, "input[0].content[0].type"),
    ({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}, "input[0].content[0].image_url"),
    ({"role": "assistant", "content": [PICTURED]}, "input[0].content"),
]


@pytest.mark.parametrize(("fields", "param"), BAD)
def test_what_is_wrong_is_named(fields: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as refusal:
        request(**fields)
    assert refusal.value.field == param


@pytest.mark.parametrize(("item", "param"), BAD_ITEMS)
async def test_an_item_that_cannot_be_read_is_named(item: dict[str, Any], param: str):
    with pytest.raises(BadRequest) as refusal:
        await turns(item)
    assert refusal.value.field == param


async def test_a_picture_that_is_none_is_refused():
    with pytest.raises(BadRequest, match="only http, https and data URLs"):
        await turns({"role": "user", "content": [{"type": "input_image", "image_url": "file:///etc/passwd"}]})
