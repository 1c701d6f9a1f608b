"""The fields of native requests: every form that Ollama takes, and refusals in its words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from puna.chat import MEDIA_MARKER
from puna.errors import BadRequest
from puna.inference import schema
from puna.server.native.messages import choice, tools, turn
from puna.server.native.requests import (
    ChatRequest,
    ContentPart,
    RequestFunction,
    RequestMessage,
    RequestToolCall,
    seconds,
    thinking,
)
from puna.server.remote import Remote
from puna.types import Message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (0, 0),
        (0.5, 0.5),
        (300, 300),
        (-1, math.inf),
        (-0.5, math.inf),
        ("0", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("-1s", math.inf),
    ],
)
def test_keep_alive_in_every_form(given: float | str | None, expected: float | None):
    assert seconds(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("300", 'time: missing unit in duration "300"'),
        ("soon", 'time: invalid duration "soon"'),
        ("", 'time: invalid duration ""'),
    ],
)
def test_a_bad_keep_alive_is_refused_in_the_words_of_go(given: str, message: str):
    with pytest.raises(BadRequest) as refusal:
        seconds(given)
    assert str(refusal.value) == message


@pytest.mark.parametrize("level", [None, True, False, "low", "medium", "high", "max"])
def test_thinking_is_asked_for_by_truth_or_level(level: bool | str | None):
    assert thinking(level) == level


def test_an_unknown_level_of_thinking_is_refused():
    with pytest.raises(BadRequest, match='invalid think value: "deep"'):
        thinking("deep")


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_format(nothing: str | None):
    assert schema(nothing) is None


def test_a_format_is_json_or_a_schema():
    assert schema("json") == {"type": "object"}
    given = {"type": "object", "required": ["b", "a"]}
    assert schema(given) == given


@pytest.mark.parametrize("nonsense", ["yaml", 5, True, ["json"]])
def test_any_other_format_is_refused(nonsense: object):
    with pytest.raises(BadRequest) as refusal:
        schema(nonsense)
    assert str(refusal.value) == 'invalid format: expected "json" or a JSON schema'


async def read(body: RequestMessage) -> Message:
    return await turn(body, "messages[0]", Remote())


async def test_text_parts_join():
    parts = [ContentPart(type="text", text="one"), ContentPart(type="text", text="two")]
    read_in = await read(RequestMessage(role="USER", content=parts))
    assert (read_in.content, read_in.role) == ("one\ntwo", "user")


@pytest.mark.parametrize(
    "part",
    [
        ContentPart(type="image", url="data:image/png;base64,QUJD"),
        ContentPart(type="image_url", image_url={"url": "data:image/png;base64,QUJD"}),
        ContentPart(type="image_url", image_url="QUJD"),
    ],
)
async def test_a_picture_is_where_it_stands_between_the_texts(part: ContentPart):
    parts = [ContentPart(type="text", text="this?"), part, ContentPart(type="text", text="or that?")]
    turned = await read(RequestMessage(role="user", content=parts))
    assert turned.content == f"this?{MEDIA_MARKER}or that?"
    assert [file.data for file in turned.images] == [b"ABC"]


async def test_pictures_beside_the_text_come_before_those_in_it():
    body = RequestMessage(role="user", content=[ContentPart(type="image", url="data:,two")], images=["b25l"])
    assert [file.data for file in (await read(body)).images] == [b"one", b"two"]


@pytest.mark.parametrize(
    "part", [ContentPart(type="image"), ContentPart(type="image", url="file:///etc/passwd")]
)
async def test_a_picture_that_is_nowhere_is_refused_by_its_place(part: ContentPart):
    with pytest.raises(BadRequest, match=r"messages\[0\]\.content\[0\]"):
        await read(RequestMessage(role="user", content=[part]))


@pytest.mark.parametrize(
    ("given", "role"), [("control", "control"), ("Document 1", "document 1"), ("USER", "user"), (None, "")]
)
async def test_any_role_is_the_templates(given: str | None, role: str):
    assert (await read(RequestMessage(role=given, content="x"))).role == role


async def test_an_unknown_part_is_named():
    with pytest.raises(BadRequest, match='invalid content part type "smell"'):
        await read(RequestMessage(role="user", content=[ContentPart(type="smell")]))


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ('{"b": 1, "a": 2}', {"b": 1, "a": 2}),
        (r'{"a": "\ud83d"}', {"a": "\ufffd"}),
        ({"a": 1}, {"a": 1}),
        ("", {}),
        ("null", {}),
        (None, {}),
        ("{", {"arguments": "{"}),
        ('{"city": "Par', {"arguments": '{"city": "Par'}),
        ("not json", {"arguments": "not json"}),
        ('{"a": 1} and', {"arguments": '{"a": 1} and'}),
        ('{"a": NaN}', {"arguments": '{"a": NaN}'}),
        ("[1]", {"arguments": [1]}),
        ([1], {"arguments": [1]}),
        ("7", {"arguments": 7}),
        (False, {"arguments": False}),
        ("[" * 100_000, {"arguments": "[" * 100_000}),
    ],
)
async def test_arguments_of_an_earlier_call_are_an_object(written: Any, arguments: dict[str, Any]):
    call = RequestToolCall(function=RequestFunction(name="f", arguments=written))
    turned = await read(RequestMessage(role="assistant", tool_calls=[call]))
    assert turned.tool_calls == [{"function": {"name": "f", "arguments": arguments}}]


@pytest.mark.parametrize("call", [RequestToolCall(), RequestToolCall(function=RequestFunction(arguments={}))])
async def test_a_call_of_nothing_is_refused_by_its_place(call: RequestToolCall):
    with pytest.raises(BadRequest) as refusal:
        await read(RequestMessage(role="assistant", tool_calls=[call]))
    assert '"messages[0].tool_calls[0]"' in str(refusal.value)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_a_tools_fields_may_be_in_any_case():
    parameters = {"type": "object", "properties": {"Name": {"type": "string"}}}
    written = {"Type": "function", "FUNCTION": {"Name": "f", "Parameters": parameters, "Strict": True}}
    function = {"name": "f", "parameters": parameters, "Strict": True}
    assert tools([written]) == [{"type": "function", "function": function}]


@pytest.mark.parametrize(
    ("tool", "field"),
    [
        ({"type": "function"}, "tools[1].function"),
        ({"function": {}}, "tools[1].function.name"),
        ({"function": {"name": "f", "parameters": "none"}}, "tools[1].function.parameters"),
    ],
)
def test_a_tool_that_is_none_is_refused_by_its_place(tool: dict[str, Any], field: str):
    with pytest.raises(BadRequest) as refusal:
        tools([TOOL, tool])
    assert f'"{field}"' in str(refusal.value)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, ("auto", "")),
        ("auto", ("auto", "")),
        ("none", ("none", "")),
        ("required", ("required", "")),
        ("any", ("required", "")),
        ("f", ("required", "f")),
        ({"type": "function", "function": {"name": "f"}}, ("required", "f")),
    ],
)
def test_a_choice_of_tools_in_every_form(wanted: Any, expected: tuple[str, str]):
    assert choice(wanted, [TOOL]) == expected


@pytest.mark.parametrize("wanted", ["g", {"function": {"name": "g"}}, {}])
def test_a_choice_of_no_tool_is_refused(wanted: Any):
    with pytest.raises(BadRequest, match="tool_choice"):
        choice(wanted, [TOOL])


def test_nothing_can_be_required_without_tools():
    with pytest.raises(BadRequest, match="no tools to require"):
        choice("required", [])


@pytest.mark.parametrize("most", [-1, 21])
def test_as_many_likeliest_tokens_as_ollama_reports(most: int):
    with pytest.raises(BadRequest, match="top_logprobs must be between 0 and 20"):
        _ = ChatRequest(logprobs=True, top_logprobs=most).num_logprobs
