"""What answers are held to: reasoning, schemas, choices, and text that only looks like a call."""

from __future__ import annotations

from typing import Any

import pytest

from puna.errors import BadRequest
from tests.chat.families import special_tokens
from tests.chat.parsing.reading import FORECAST as CALLED
from tests.chat.parsing.reading import TOOLS as WRITTEN_TOOLS
from tests.chat.parsing.written import WRITTEN, Written

from .asked import grammar, held
from .offered import TOOLS, tool
from .walking import admitted

CALL = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
POINT = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def fits(text: str, family: str = "hermes", **asked: Any) -> bool:
    """Whether it is admitted however its markers are spelled."""
    made = held(family, **asked)
    spelled = {admitted(made, text, control) for control in ((), special_tokens(family))}
    assert len(spelled) == 1, text
    return spelled.pop()


LENIENT = (" all in one tag", " without the first tag")
"""What is read and not written."""
FREE = ("deepseek3.2", "gigachat3.5", "kimi-k3", "minicpm5", "minimax-m3", "plamo3")
"""Families whose calls no grammar holds."""
HELD = [one for one in WRITTEN if one.variant not in LENIENT and one.family not in FREE]


@pytest.mark.parametrize(
    "written", [one for one in WRITTEN if one.variant not in LENIENT and one.family not in FREE], ids=str
)
def test_each_family_may_write_its_calls_as_it_was_taught(written: Written):
    name, arguments = CALLED
    calm = {key: value for key, value in arguments.items() if key not in ("zone", "extra")}
    in_order = [key for key in WRITTEN_TOOLS[0]["function"]["parameters"]["properties"] if key in calm]
    call = (name, {"zone": "Paris", **{key: calm[key] for key in in_order}})
    for calls in ([call], [call, ("now", {})]):
        text = written.calls(calls)
        if written.family == "lfm2":
            text = text.replace("True", "true")
        assert fits(text, written.family, tools=WRITTEN_TOOLS), text


def test_nothing_is_held_without_a_reason():
    assert grammar() is None
    assert grammar("plain", tools=TOOLS) is None
    assert grammar("plain", tools=TOOLS, required=True) is None
    assert grammar("harmony") is None
    assert grammar("glimmer") is None


def test_a_call_is_held_from_its_marker_on():
    assert fits(f"Let me see.\n{CALL}\nThere.", tools=TOOLS)
    assert fits("No <tool_cal", tools=TOOLS)
    assert not fits("<tool_call>no", tools=TOOLS)
    assert not fits(CALL.replace("now", "later"), tools=TOOLS)
    assert not fits(CALL.replace("{}", '{"a": 1}'), tools=TOOLS)
    assert not fits(CALL.removesuffix("</tool_call>"), tools=TOOLS)


def test_a_call_in_reasoning_is_one_where_the_family_makes_such():
    for prompt, opened in (("", "<think>"), ("<think>\n", "")):
        asked: dict[str, Any] = {"tools": TOOLS, "prompt": prompt}
        assert not fits(f"{opened}So <tool_call> it is.</think>Yes", "hermes", **asked)
        assert fits(f"{opened}So {CALL}", "hermes", **asked)
        for family in ("olmo3", "granite"):
            marker = "<function_calls>" if family == "olmo3" else "<tool_call>"
            assert fits(f"{opened}So {marker} it is.</think>Yes", family, **asked)
            assert not fits(f"{opened}So</think>Yes {marker} no", family, **asked)


def test_content_fits_its_schema_behind_free_reasoning():
    for family, opened, closing in (
        ("hermes", "<think>", "</think>\n\n"),
        ("mistral", "[THINK]", "[/THINK]"),
        ("gemma4", "<|channel>thought\n", "<channel|>"),
        ("harmony", "<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
        ("cohere", "<|START_THINKING|>", "<|END_THINKING|><|START_TEXT|>"),
        ("glimmer", " to=self<|message|>", "<|eom|><|start|>assistant to=user<|message|>"),
    ):
        prompt = "<|start|>assistant" if family in ("harmony", "glimmer") else ""
        asked: dict[str, Any] = {"schema": POINT, "prompt": prompt}
        assert fits(f'{opened}Is it {{"x"? [\n{closing}{{"x": 1}}', family, **asked), family
        assert not fits(f"{opened}Hm.{closing}one", family, **asked)
        assert not fits(f"{opened}Hm.", family, **asked)
        assert not fits(f'{opened}Hm.{closing}{{"x": 1}} and', family, **asked)
        assert not fits("Hm.", family, **asked)


def test_reasoning_that_the_prompt_opened_and_that_nobody_wants():
    assert fits('Hm.</think>{"x": 1}', schema=POINT, prompt="<think>\n")
    assert not fits('{"x": 1}', schema=POINT, prompt="<think>\n")
    assert fits('{"x": 1}', schema=POINT)
    assert fits('{"x": 1}', schema=POINT, think=False)
    assert not fits('<think>Hm.</think>{"x": 1}', schema=POINT, think=False)


def test_white_space_in_json_is_bounded():
    assert fits('{\n    "x": 1\n}', schema=POINT)
    assert not fits('{\n\n"x": 1}', schema=POINT)
    assert not fits('{"x":  1}', schema=POINT)
    assert not fits(' {"x": 1}', schema=POINT)


def test_a_schema_and_tools():
    assert fits('{"x": 1}', schema=POINT, tools=TOOLS)
    assert fits(f"{CALL}\n{CALL}", schema=POINT, tools=TOOLS)
    assert not fits("Hello", schema=POINT, tools=TOOLS)
    assert not fits('{"x": 1}', schema=POINT, tools=TOOLS, required=True)


def test_a_call_that_must_be():
    asked: dict[str, Any] = {"tools": TOOLS, "required": True}
    assert fits(CALL, **asked)
    assert fits(f"<think>Hm.</think>\n\n{CALL}\n{CALL}", **asked)
    assert not fits(f"Let me see. {CALL}", **asked)
    assert not fits("<think>Hm.</think>", **asked)
    assert not fits(CALL, **asked, name="grow")
    assert fits(CALL, **asked, name="now")
    with pytest.raises(BadRequest, match=r'^invalid tool_choice: there is no tool "later"$'):
        grammar(**asked, name="later")


def test_one_call_and_no_more():
    for required in (False, True):
        asked: dict[str, Any] = {"tools": TOOLS, "required": required, "parallel": False}
        assert fits(CALL, **asked)
        assert not fits(f"{CALL}\n{CALL}", **asked)
        assert not fits(f"{CALL}\nThere.", **asked)


def test_bare_json_is_a_call_only_when_it_names_a_tool():
    for family in ("llama3", "generic"):
        assert fits('{"name": "Alice", "age": 5}', family, tools=TOOLS)
        assert fits('{"name": "now", "parameters": {}}', family, tools=TOOLS)
        assert not fits('{"name": "now", "parameters": 5}', family, tools=TOOLS)
        assert not fits('{"name": "now"}', family, tools=TOOLS)


def test_text_and_further_calls_behind_a_bare_one():
    call = '{"name": "now", "parameters": {}}'
    for family in ("llama3", "generic"):
        for text in (" There.", "\n\nIt is {", f"; {call} There.", f"\n{call}"):
            assert fits(call + text, family, tools=TOOLS)
        for text in (call.replace("{}", "5"), f" {call} and {call.replace('{}', '5')}"):
            assert fits(f"{call} and {text}", family, tools=TOOLS)
        assert not fits(f"{call}; {call.replace('{}', '5')}", family, tools=TOOLS)
        assert not fits(f"{call} There.", family, tools=TOOLS, parallel=False)
        assert not fits(f"{call} There.", family, tools=TOOLS, required=True)


def test_text_is_free_around_notation_that_only_looks_alike():
    assert fits("Action: we leave.", "cohere", tools=TOOLS)
    assert not fits("Action: ```json\n5", "cohere", tools=TOOLS)
    assert fits("<function", "qwen3-coder", tools=TOOLS)
    assert not fits("<function=grow>\n</function>", "qwen3-coder", tools=TOOLS)


def test_a_tool_with_a_name_that_the_notation_cannot_write_is_not_offered():
    tools = [{"function": {"name": "two words"}}]
    assert grammar("olmo3", tools=tools) is None
    assert grammar("olmo3", tools=tools, required=True) is None
    assert fits(CALL.replace("now", "two words"), tools=tools)


ATEM = '<atem:function_calls>\n<atem:invoke name="%s">\n</atem:invoke>\n</atem:function_calls>'
ANSWER = "<|start|>assistant to=user<|message|>"


@pytest.mark.parametrize("end", ["", "<|eom|>", f"<|eom|>{ANSWER}Done.<|eot|>"])
def test_glimmers_messages_to_tools_are_calls_that_fit(end: str):
    for header in (" to=now<|message|>", "<|start|>assistant to=now.now<|message|>"):
        assert fits(f"{header}{ATEM % 'now'}{end}", "glimmer", tools=TOOLS)
        assert not fits(f"{header}{ATEM % 'later'}{end}", "glimmer", tools=TOOLS)
        assert not fits(f"{header}Now, please.{end}", "glimmer", tools=TOOLS)
    for header in (" to=user<|message|>", "<|message|>", ""):
        assert fits(f"{header}{ATEM % 'now'}{end}", "glimmer", tools=TOOLS)
        assert not fits(f"{header}{ATEM % 'later'}{end}", "glimmer", tools=TOOLS)


def test_glimmer_may_quote_and_think_of_calls():
    for text in (f"Like this:\n{ATEM % 'later'}", "A <atem:", ""):
        for header in (" to=user<|message|>", " to=self<|message|>", ""):
            assert fits(f"{header}{text}", "glimmer", tools=TOOLS)
            assert fits(f"{header}{text}<|eom|>{ANSWER}Hi", "glimmer", tools=TOOLS)
    assert fits(f" to=self<|message|>{ATEM % 'later'}{ANSWER}", "glimmer", tools=TOOLS)


def test_a_vocabulary_that_cuts_a_marker_in_two_is_not_held():
    assert grammar("deepseek3.2", tools=TOOLS) is None


def test_kimi_may_leave_out_what_ends_a_call():
    begun = "<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>"
    assert fits(begun + "{}", "kimi-k2", tools=TOOLS)
    assert fits(f"{begun}{{}}{begun}{{}}<|tool_call_end|>", "kimi-k2", tools=TOOLS)
    assert not fits(f'{begun}{{"a": 1}}', "kimi-k2", tools=TOOLS)
    assert not fits(begun.replace("now", "later") + "{}", "kimi-k2", tools=TOOLS)


def test_mistrals_older_forms():
    for text in (
        "[TOOL_CALLS]now{}",
        '[TOOL_CALLS]  [ {"arguments" : {} , "name":"now"} ]',
        '[TOOL_CALLS][{"id": "a1", "name": "now", "arguments": {}}]',
    ):
        assert fits(text, "mistral", tools=TOOLS), text


@pytest.mark.parametrize(
    ("types", "text", "read"),
    [
        (["string", "null"], "123 Main St", True),
        (["string", "null"], "true", True),
        (["string", "null"], " null", False),
        (["string", "integer"], "[sic]", True),
        (["string", "integer"], "2", True),
        (["string", "integer"], '"2"', False),
        (["string", "number"], "2e3", True),
        (["string", "boolean"], "True North", True),
        (["string", "object"], "2", True),
        (["string", "object"], '{"a"', False),
        (["string", "array"], "{a} or [b]", True),
        (["string", "array"], "[b] or {a}", False),
    ],
)
@pytest.mark.parametrize("combined", [False, True])
def test_text_that_is_no_value_of_another_type_may_be_written(
    types: list[str], text: str, read: bool, combined: bool
):
    schema = {"anyOf": [{"type": one} for one in types]} if combined else {"type": types}
    tools = [tool("say", {"it": schema}, "it")]
    call = f"<tool_call>\n<function=say>\n<parameter=it>\n{text}\n</parameter>\n</function>\n</tool_call>"
    assert fits(call, "qwen3-coder", tools=tools) == read


@pytest.mark.parametrize("written", HELD, ids=str)
def test_an_object_s_own_names_may_be_any(written: Written):
    text = {"type": "string"}
    for schema in ({"type": "object"}, {"type": "object", "additionalProperties": text}, {}):
        tools = [tool("send", {"headers": schema}, "headers")]
        for name in ("Content-Type", "7", "a b"):
            assert fits(written.calls([("send", {"headers": {name: "x"}})]), written.family, tools=tools)
    for more in ({"patternProperties": {r"^[A-Z]-\d$": text}, "additionalProperties": False},
                 {"propertyNames": {"pattern": r"^[A-Z]-\d$"}, "additionalProperties": text}):  # fmt: skip
        tools = [tool("send", {"headers": {"type": "object", **more}}, "headers")]
        for name, fitting in (("A-1", True), ("b", False)):
            call = written.calls([("send", {"headers": {name: "x"}})])
            assert fits(call, written.family, tools=tools) == fitting


@pytest.mark.parametrize("family", ["lfm2", "olmo3", "llama4"])
def test_python_s_strings_that_must_fit_have_either_quotes(family: str):
    [written] = [one for one in WRITTEN if one.family == family and not one.variant]
    properties = {"code": {"type": "string", "pattern": "^[A-Z]{2}$"}, "how": {"enum": ['x"y', "a\\b"]}}
    tools = [tool("f", properties)]
    for arguments, fitting in (({"code": "AB"}, True), ({"code": "ab"}, False), ({"how": 'x"y'}, True)):
        call = written.calls([("f", arguments)])
        assert fits(call, family, tools=tools) == fitting
        assert fits(call.replace("'", '"'), family, tools=tools) == (fitting and "code" in arguments)


UNKEPT: list[dict[str, Any]] = [
    {"type": "object", "patternProperties": {"^a": {"type": "integer"}, "b$": {"type": "string"}}},
    {"type": "number", "multipleOf": 1.2345678901234567},
    {"allOf": [True, False]},
]


@pytest.mark.parametrize("written", HELD, ids=str)
@pytest.mark.parametrize("schema", UNKEPT)
def test_a_value_that_cannot_be_held_lets_no_other_go(written: Written, schema: dict[str, Any]):
    properties = {"odd": schema, "count": {"type": "integer", "minimum": 3}}
    tools = [tool(name, properties, "count") for name in ("f", "other")]
    for count, fitting in ((4, True), ("four", False), (2, False)):
        call = written.calls([("f", {"count": count})])
        assert fits(call, written.family, tools=tools) == fitting
        if written.family == "hermes":
            assert fits(call, tools=tools, required=True) == fitting


@pytest.mark.parametrize("written", HELD, ids=str)
def test_sizes_may_have_a_point(written: Written):
    said = {"type": "string", "maxLength": 2.0, "minLength": 1.0}
    tools = [tool("f", {"s": said}, "s")]
    for text, fitting in (("ab", True), ("abc", False)):
        call = written.calls([("f", {"s": text})]).replace("'", '"')
        assert fits(call, written.family, tools=tools) == fitting
