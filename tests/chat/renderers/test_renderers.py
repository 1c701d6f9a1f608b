"""Every named renderer: the texts of the families' formats, and what holds for any conversation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.chat import Prompt, renderer
from puna.errors import BadRequest
from puna.types import MediaFile, Message
from tests.chat.conversations import WEATHER, chat, tool_chat

from .asked import ASKED, NAMES, expected, text

MEDIA_MARKER = "<__media__>"
ALIASES = {"gemma4": "gemma4-small", "harmony": "gpt-oss"}
THINKERS_ONLY = {"olmo3-think", "olmo3-32b-think"}
"""These know no tools."""


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", NAMES)
def test_text(name: str, asked: str) -> None:
    assert text(name, ASKED[asked]) == expected(name)[asked]


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_alias(alias: str, name: str) -> None:
    assert [text(alias, prompt) for prompt in ASKED.values()] == list(expected(name).values())


def test_a_size_decides_between_two_prompts() -> None:
    assert renderer("gemma4", 11_999_999_999) == renderer("gemma4-small")
    assert renderer("gemma4", 12_000_000_000) == renderer("gemma4-large") != renderer("gemma4-small")


def test_unknown_name() -> None:
    with pytest.raises(BadRequest, match=r'^unknown renderer "gemma5"$'):
        renderer("gemma5")


@pytest.mark.parametrize("name", NAMES)
def test_what_it_reads_shows_in_its_text(name: str) -> None:
    read = renderer(name).names
    plain = chat("user: Hi")
    assert "messages" in read
    told = msgspec.structs.replace(plain, tools=[WEATHER])
    assert ("tools" in read) == (text(name, told) != text(name, plain))
    pictured = Prompt(messages=[Message(role="user", content="Hi", images=[MediaFile(b"1")])])
    assert ("images" in read) == (MEDIA_MARKER in text(name, pictured))
    if "think" not in read:
        assert {text(name, chat("user: Hi", think=think)) for think in (True, False)} == {text(name, plain)}


GOES_ON = ["cohere", "glm-4.6", "gpt-oss", "lfm2", "lfm2-thinking", "ministral", "olmo3", "olmo3.1", "ornith"]
GOES_ON += ["qwen3-coder", "qwen3-vl-instruct", "qwen3-vl-thinking", "qwen3.5", "qwen3.8"]


@pytest.mark.parametrize("name", GOES_ON)
def test_an_answer_that_was_begun_is_at_the_end(name: str) -> None:
    assert text(name, chat("user: Count.", "assistant: One, two,")).endswith("One, two,")
    thought = Message(role="assistant", content="One,", thinking="I count.")
    begun = Prompt(messages=[Message(role="user", content="Count."), thought], think=True)
    assert text(name, begun).endswith("One,")


@pytest.mark.parametrize("name", sorted({*NAMES} - {*GOES_ON, "laguna", "deepseek3.1"}))
def test_other_families_begin_a_new_answer(name: str) -> None:
    asked = text(name, chat("user: Count."))
    told = text(name, chat("user: Count.", "assistant: One, two,"))
    assert told.endswith(asked[-8:])
    assert "One, two," in told


TEA = {
    "function": {
        "parameters": {
            "additionalProperties": False,
            "required": ["kind"],
            "properties": {
                "kind": {"default": "green", "enum": ["green"], "type": ["string"], "description": ""}
            },
        },
        "name": "tea",
        "strict": True,
    }
}


def test_a_tools_keys_are_in_ollamas_order_and_those_it_does_not_know_behind() -> None:
    declared = (
        '{"type": "", "function": {"name": "tea", "parameters": {"type": "", "required": ["kind"], '
        '"properties": {"kind": {"type": "string", "enum": ["green"], "default": "green"}}, '
        '"additionalProperties": false}, "strict": true}}'
    )
    assert declared in text("qwen3.5", chat("user: Tea?", tools=[TEA]))


def test_what_a_list_holds_is_printed_by_name() -> None:
    items = {"type": "object", "description": "One.", "properties": {"b": {"type": "string"}, "a": {}}}
    function = {"name": "buy", "parameters": {"type": "object", "properties": {"all": {"items": items}}}}
    assert (
        '"items": {"description": "One.", "properties": {"a": {}, "b": {"type": "string"}}, "type": "object"}'
        in text("qwen3.5", chat("user: Tea?", tools=[{"type": "function", "function": function}]))
    )


def test_a_tool_without_parameters_has_none() -> None:
    asked = chat(
        "user: Now?", tools=[{"type": "function", "function": {"name": "now", "description": "Time"}}]
    )
    assert '{"name": "now", "description": "Time", "parameters": {"type": "", "properties": null}}' in text(
        "qwen3-vl-instruct", asked
    )


def test_qwen3_coder_takes_the_first_system_message_that_says_something() -> None:
    asked = chat("user: Hi", "system: ", "system: Be brief.", "system: Be kind.")
    assert text("qwen3-coder", asked) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_space_stands_between_a_picture_and_a_word() -> None:
    asked = [
        Message(role="user", content=said, images=[MediaFile(b"1")]) for said in ("Look", "", "At [img]")
    ]
    assert (
        renderer("qwen3.5")
        .render(Prompt(messages=asked))
        .startswith(
            f"<|im_start|>user\n{MEDIA_MARKER} Look<|im_end|>\n"
            f"<|im_start|>user\n{MEDIA_MARKER}<|im_end|>\n"
            f"<|im_start|>user\nAt {MEDIA_MARKER}<|im_end|>\n"
        )
    )


@pytest.mark.parametrize("name", NAMES)
def test_arguments_keep_their_order_and_may_be_json_text(name: str) -> None:
    if name in THINKERS_ONLY:
        return
    asked = tool_chat()
    function = {"name": "get_weather", "arguments": '{"city": "東京", "days": 2}'}
    as_text = Message(role="assistant", tool_calls=[{"function": function}])
    other = msgspec.structs.replace(asked, messages=[asked.messages[0], as_text, asked.messages[2]])
    assert text(name, other) == text(name, asked)
    assert text(name, asked).rindex("東京") < text(name, asked).rindex("days")


@pytest.mark.parametrize("name", NAMES)
def test_tools_without_end_are_refused(name: str) -> None:
    deep: Any = "end"
    for _ in range(100_000):
        deep = [deep]
    function = {"name": "f", "arguments": {"deep": deep}}
    call = Message(role="assistant", tool_calls=[{"function": function}])
    messages = [Message(role="user", content="Hi"), call, Message(role="tool", content="done")]
    if name in THINKERS_ONLY:
        return
    with pytest.raises(BadRequest, match="nested too deeply"):
        renderer(name).render(Prompt(messages=messages))


words = st.sampled_from(
    ["Hi", "", " spaced ", "<think>", "</think>", "/nothink", "[img]", "<__media__>", "東京"]
)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
made = st.lists(
    st.fixed_dictionaries(
        {"function": st.fixed_dictionaries({"name": words}, optional={"arguments": values})},
        optional={"id": words},
    ),
    max_size=2,
)
messages = st.lists(
    st.builds(
        Message,
        role=st.sampled_from(["system", "developer", "user", "assistant", "tool"]),
        content=words,
        thinking=words,
        images=st.lists(st.just(b"1"), max_size=2),
        tool_calls=made,
        tool_name=words,
        tool_call_id=words,
    ),
    max_size=6,
)
schemas = st.dictionaries(
    st.sampled_from(["type", "properties", "required", "description", "enum", "items", "anyOf", "default"]),
    values,
    max_size=4,
)
tools = st.lists(
    st.fixed_dictionaries(
        {"type": st.just("function")},
        optional={
            "function": st.fixed_dictionaries(
                {"name": words},
                optional={
                    "parameters": st.fixed_dictionaries(
                        {"type": st.just("object"), "properties": st.dictionaries(words, schemas, max_size=2)}
                    )
                },
            )
        },
    ),
    max_size=2,
)


@given(st.sampled_from(NAMES), messages, tools, st.sampled_from([None, True, False, "low", "max"]))
def test_any_conversation_renders_or_is_refused(
    name: str, messages: list[Message], tools: list[dict[str, Any]], think: bool | str | None
) -> None:
    try:
        written = renderer(name).render(Prompt(messages=messages, tools=tools, think=think))
        assert written or not any(message.role != "system" for message in messages)
    except BadRequest:
        assert name == "qwen3.8"


asked_with_pictures = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["Hi", "a [img] b", ""])), min_size=1
)


@given(st.sampled_from(NAMES), asked_with_pictures)
def test_each_picture_has_one_place(name: str, turns: list[tuple[int, str]]) -> None:
    asked = [
        Message(role="user", content=f"Look. {said}", images=[MediaFile(b"1")] * count)
        for count, said in turns
    ]
    found = renderer(name).render(Prompt(messages=asked)).count(MEDIA_MARKER)
    assert found == (sum(count for count, _ in turns) if "images" in renderer(name).names else 0)
