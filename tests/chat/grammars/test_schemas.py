"""Schemas on their way to a grammar."""

from __future__ import annotations

from typing import Any

import pytest

from puna.chat.grammars.schemas import closed, functions, standing_alone
from puna.errors import BadRequest


def test_objects_that_name_their_properties_get_no_others():
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    assert closed(schema)["additionalProperties"] is False
    assert closed(schema)["properties"]["a"]["additionalProperties"] is False


def test_what_the_schema_says_itself_stays():
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "string"}}
    assert closed(schema) == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        {"properties": {"a": {}}, "anyOf": [{"properties": {"b": {}}}]},
        {"oneOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"properties": {"b": {}}}}},
        {"const": {"properties": {"a": 1}}},
    ],
)
def test_parts_of_a_whole_and_data_stay_open(schema: dict[str, Any]):
    assert closed(schema) == schema


def test_alternatives_are_closed():
    schema = {"anyOf": [{"properties": {"a": {}}}, {"type": "null"}]}
    assert closed(schema)["anyOf"][0]["additionalProperties"] is False
    told_apart = {"oneOf": [{"properties": {"a": {}}}], "discriminator": {"propertyName": "a"}}
    assert closed(told_apart)["oneOf"][0]["additionalProperties"] is False


def test_a_property_may_have_any_name():
    schema = {"properties": {"properties": {"type": "object", "properties": {"type": {}}}, "type": {}}}
    assert closed(schema)["properties"]["type"] == {}
    assert "additionalProperties" not in closed(schema)["properties"]
    [function] = functions([{"function": {"name": "f", "parameters": schema}}])
    assert set(function.parameters["properties"]) == {"properties", "type"}


@pytest.mark.parametrize(
    "parameters", ["{}", [], {"type": "array"}, {"type": ["string", "null"]}, {"properties": ["a"]}]
)
def test_a_tool_whose_parameters_are_no_object_is_refused(parameters: Any):
    tools = [{"function": {"name": "a"}}, {"function": {"name": "b", "parameters": parameters}}]
    with pytest.raises(BadRequest, match=r"^invalid tools\[1\]\.function\.parameters: "):
        functions(tools)


def test_a_schema_of_endless_depth_is_refused():
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(2000):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(BadRequest, match="nested too deeply"):
        functions([{"function": {"name": "f", "parameters": deep}}])


def test_a_tool_without_parameters_takes_none():
    for parameters in (None, {}, {"type": "object", "properties": {}}):
        [function] = functions([{"function": {"name": "f", "parameters": parameters}}])
        assert function.parameters["additionalProperties"] is False


def test_what_is_no_schema_language_is_let_go_in_tools():
    given = {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "any", "required": True, "pattern": r"(x)\1"},
            "b": {"type": ["string", "any"], "enum": ["type"]},
        },
    }
    [function] = functions([{"function": {"name": "f", "parameters": given}}])
    assert function.parameters["type"] == "object"
    assert function.parameters["properties"] == {"a": True, "b": {"type": ["string"], "enum": ["type"]}}


def test_a_part_keeps_its_references():
    root = {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}
    part = standing_alone(root["properties"]["a"], root)
    assert part["$ref"] == "#/$defs/root/$defs/a"
    assert part["$defs"]["root"]["$defs"]["a"] == {"items": {"$ref": "#/$defs/root/$defs/a"}}
    assert standing_alone({"type": "string"}, root) == {"type": "string"}


def test_null_properties_are_none():
    (function,) = functions(
        [{"function": {"name": "f", "parameters": {"type": "object", "properties": None, "required": None}}}]
    )
    assert function.parameters == {"type": "object", "additionalProperties": False}


def test_a_reference_that_leads_nowhere_is_let_go_in_tools():
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/nope"}, "b": {"$ref": "http://x/y"}}}
    (function,) = functions([{"function": {"name": "f", "parameters": schema}}])
    assert function.parameters["properties"] == {"a": True, "b": True}


def test_what_is_said_otherwise_in_content_is_said_otherwise_in_tools():
    given = {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "set": {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
            "code": {"type": "string", "pattern": "^(?=.*[A-Z])\\w{2}$"},
        },
        "required": ["day"],
    }
    (function,) = functions([{"function": {"name": "f", "parameters": given}}])
    day, unique, code = function.parameters["properties"].values()
    assert "pattern" in day
    assert [True, True] not in [one.get("const") for one in unique["allOf"][0]["anyOf"]]
    assert "^(?=" not in str(code)
