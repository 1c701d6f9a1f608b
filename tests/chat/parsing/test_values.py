"""Values as models write them, by the tool's schema."""

from __future__ import annotations

from typing import Any

import pytest

from puna.chat.parsing import Content
from puna.chat.parsing.tools import Tools

from .notations import gemma
from .reading import called, parsed


def tool(schema: Any, **root: Any) -> Tools:
    parameters = {"type": "object", "properties": {"p": schema}, **root}
    return Tools([{"type": "function", "function": {"name": "f", "parameters": parameters}}])


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "5", "5"),
        ({"type": "string"}, "null", "null"),
        ({"type": "string"}, " a\n b ", " a\n b "),
        ({"type": "integer"}, "5", 5),
        ({"type": "integer"}, " 5\n", 5),
        ({"type": "integer"}, "5.5", "5.5"),
        ({"type": "integer"}, "five", "five"),
        ({"type": "integer"}, "NULL", None),
        ({"type": "number"}, "5", 5),
        ({"type": "number"}, "-2.5e3", -2500.0),
        ({"type": "boolean"}, "True", True),
        ({"type": "boolean"}, "yes", "yes"),
        ({"type": "array"}, "[1, [2]]", [1, [2]]),
        ({"type": "array"}, '{"a": 1}', '{"a": 1}'),
        ({"type": "object"}, '{"b": 1, "a": {}}', {"b": 1, "a": {}}),
        (
            {"type": "object"},
            "{'b': True, 'a': [None, 1.5, 'it\\'s']}",
            {"b": True, "a": [None, 1.5, "it's"]},
        ),
        ({"type": "object"}, "{'b': True} and more", "{'b': True} and more"),
        ({"type": "array"}, "['a', {'b': 'c'}]", ["a", {"b": "c"}]),
        ({"type": ["string", "array"]}, "['a']", "['a']"),
        ({"type": ["string", "integer"]}, "5", 5),
        ({"type": ["string", "integer"]}, "five", "five"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "0.5", 0.5),
        ({"$ref": "#/$defs/n"}, "5", 5),
        ({"$ref": "#/$defs/self"}, "5", 5),
        ({"$ref": "#/$defs/self"}, "five", "five"),
        ({"allOf": [{"$ref": "#/$defs/n"}], "description": "How many."}, "4", 4),
        ({"allOf": [{"type": ["integer", "string"]}, {"type": ["string", "null"]}]}, "4", "4"),
        ({"$ref": "#/$defs/a~1b"}, "[4]", [4]),
        ({"$ref": "#/$defs/Map%3Cint%3E"}, '{"a": 4}', {"a": 4}),
        ({"$ref": "#/$defs/Map%3Cint%3E/additionalProperties"}, "4", 4),
        ({"$ref": "#text"}, "4", "4"),
        ({"$ref": "Text"}, "4", "4"),
        ({"$ref": "#nowhere"}, "4", 4),
        ({"oneOf": [{"$ref": "#/$defs/n"}, {"type": "string"}]}, "4", 4),
        ({"anyOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]}, "4", "4"),
        ({"anyOf": [{"type": "integer"}, {}]}, '{"a": 1}', {"a": 1}),
        ({"enum": [1, 2]}, "2", 2),
        ({"enum": ["1", 2]}, "1", "1"),
        ({"enum": ["null", "none"]}, "null", "null"),
        ({"const": True}, "true", True),
        ({}, "5", 5),
        (True, '{"a": [1]}', {"a": [1]}),
        ({"description": "Anything."}, "false", False),
        ({"description": "Anything."}, "a {b}", "a {b}"),
        ({"properties": {"a": {}}}, '{"a": 1}', {"a": 1}),
        ({"items": {"type": "integer"}}, "[1]", [1]),
        (None, "5", "5"),
        ({"type": 5, "anyOf": 5, "enum": 5}, "5", 5),
    ],
)
def test_text_is_given_the_schemas_type(schema: Any, text: str, value: Any):
    definitions = {
        "n": {"type": "integer"},
        "self": {"$ref": "#/$defs/self"},
        "a/b": {"type": "array"},
        "Map<int>": {"type": "object", "additionalProperties": {"type": "integer"}},
        "t": {"$anchor": "text", "$id": "Text", "type": "string"},
    }
    found = tool(schema, **{"$defs": definitions}).typed_value("f", "p", text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "root",
    [
        {"anyOf": [{"properties": {"n": {"type": "integer"}}}, {"properties": {"s": {"type": "string"}}}]},
        {"allOf": [{"$ref": "#/$defs/one"}, {"properties": {"s": {"type": "string"}}}]},
        {"$ref": "#/$defs/both"},
        {"patternProperties": {"^n": {"type": "integer"}}, "properties": {"s": {"type": "string"}}},
        {"additionalProperties": {"type": "integer"}, "properties": {"s": {"type": "string"}}},
        {"if": {}, "then": {"properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}},
    ],
)
def test_a_parameter_is_found_wherever_a_schema_names_it(root: dict[str, Any]):
    one = {"properties": {"n": {"type": "integer"}}}
    both = {"properties": {**one["properties"], "s": {"type": "string"}}}
    schema = {"type": "object", **root, "$defs": {"one": one, "both": both}}
    tools = Tools([{"type": "function", "function": {"name": "f", "parameters": schema}}])
    assert (tools.typed_value("f", "n", "5"), tools.typed_value("f", "s", "5")) == (5, "5")


@pytest.mark.parametrize(
    "given", [{}, {"function": 5}, {"function": {"name": 5}}, {"function": {"name": "f"}}]
)
def test_odd_tools_give_text(given: dict[str, Any]):
    assert Tools([given]).typed_value("f", "p", "5") == "5"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("""a='it\\'s', b="x\\ny\\u00e9\\ud83c\\udf27\\/" """, {"a": "it's", "b": "x\nyé🌧/"}),
        ("a=[1, -2.5, 'x', [True, None]], b={'k': false, \"l\": null}",
         {"a": [1, -2.5, "x", [True, None]], "b": {"k": False, "l": None}}),
        ("a=(1, 2,), b={},", {"a": [1, 2], "b": {}}),
        ("a = Paris", {"a": "Paris"}),
        ("a='first line\nsecond)'", {"a": "first line\nsecond)"}),
        ("", {}),
    ],
)  # fmt: skip
def test_calls_in_python(text: str, arguments: dict[str, Any]):
    assert parsed("lfm2", f"<|tool_call_start|>[now({text})]<|tool_call_end|>") == called(("now", arguments))
    assert parsed("lfm2", *f"[now({text})]") == called(("now", arguments))


@pytest.mark.parametrize("text", ["5", "a=", "a==5", "a=5 b=6", "a={1: }", "a=[1", "a='\\ud83c'", "a=[1 2]"])
def test_what_is_no_call_in_python(text: str):
    answer = f"<|tool_call_start|>[now({text})]<|tool_call_end|>"
    assert parsed("lfm2", answer) == [Content(answer)]


@pytest.mark.parametrize(
    "value",
    [
        '{"name": "now", "arguments": "{\\"a\\": 1}"}',
        '{"name": "now", "parameters": {"a": 1}}',
        '{"type": "function", "function": {"name": "now", "arguments": {"a": 1}}}',
        '{"type": "function", "function": "now", "parameters": {"a": 1}}',
        '{"id": "1", "tool_name": "now", "arguments": {"a": 1}}',
        '{"arguments": {"a": 1}, "name": "now"}',
    ],
)
def test_objects_have_several_forms(value: str):
    assert parsed("hermes", f"<tool_call>{value}</tool_call>") == called(("now", {"a": 1}))


@pytest.mark.parametrize(
    "value", ["{}", '{"name": "now", "zone": 1}', '{"name": "now", "arguments": [1]}', '{"arguments": {}}']
)
def test_objects_that_are_no_calls(value: str):
    answer = f"<tool_call>{value}</tool_call>"
    assert parsed("hermes", *answer) == [Content(answer)]


def test_line_breaks_in_strings_are_let_pass():
    answer = '<tool_call>{"name": "now", "arguments": {"a": "x\ny"}}</tool_call>'
    assert parsed("hermes", answer) == called(("now", {"a": "x\ny"}))


def test_glm_leaves_tags_out():
    for inner in (
        "<arg_key>zone</arg_key><arg_value>x</arg_value><arg_key>days<arg_value>3</arg_value>",
        "<arg_key>zone</arg_key>x</arg_value><arg_key>days</arg_key><arg_value>3",
        "zone</arg_key><arg_value>x<arg_key>days</arg_key>\n<arg_value>3</arg_value>",
    ):
        answer = f"<tool_call>forecast\n{inner}</tool_call>"
        assert parsed("glm", *answer) == called(("forecast", {"zone": "x", "days": 3}))


def test_gemma_closes_twice_and_answers_itself():
    answer = "<|tool_call>call:now{}<tool_call|><tool_call|>\n<|tool_response>Yes."
    assert parsed("gemma4", *answer) == [*called(("now", {})), Content("Yes.")]


GEMMA = {
    "gemma4": ("<|tool_call>", "<tool_call|>", '<|"|>'),
    "functiongemma": ("<start_function_call>", "<end_function_call>", "<escape>"),
}


@pytest.mark.parametrize("family", GEMMA)
@pytest.mark.parametrize(
    "value", ["Q", "a Q b", "QQ", "Q,y", "Q}", "{Q}", "[QaQ]", "{a:QbQ}", "Q, and: x", "Q]", "C", "aCb"]
)
def test_a_gemma_string_may_have_its_quote_and_the_calls_end_in_it(family: str, value: str):
    begin, end, quote = GEMMA[family]
    text = value.replace("Q", quote).replace("C", end)
    for arguments in (
        {"zone": text, "days": 3, "extra": {"k": text, "z": text}},
        {"extra": {"l": [text, "b", {"k": [text]}, 1]}, "zone": text},
    ):
        answer = f"{begin}call:forecast{gemma(quote)(arguments)}{end}"
        assert parsed(family, *answer) == called(("forecast", arguments))


@pytest.mark.parametrize("family", GEMMA)
def test_a_broken_gemma_call_takes_no_other_with_it(family: str):
    begin, end, _ = GEMMA[family]
    broken = f"{begin}call:now{{zone}}{end}"
    assert parsed(family, f"{broken}{begin}call:now{{}}{end}") == [Content(broken), *called(("now", {}))]


def test_llamas_own_tools_are_called_by_name():
    answer = '<|python_tag|>brave_search.call(query="rain")'
    assert parsed("llama3", *answer) == called(("brave_search", {"query": "rain"}))


def test_harmony_knows_a_tool_by_its_shown_name():
    tools = [{"type": "function", "function": {"name": "get-weather now"}}]
    answer = "<|channel|>commentary to=functions.get_weather_now<|message|>{}"
    assert parsed("harmony", answer, tools=tools) == called(("get-weather now", {}))
