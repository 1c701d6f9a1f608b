"""Schemas on their way to a grammar."""

from __future__ import annotations

from typing import Any

import pytest

from puna.chat.grammars import functions
from puna.chat.schema import standing_alone
from puna.errors import BadRequest

INT = {"type": "integer"}


def parameters(schema: dict[str, Any] | None) -> dict[str, Any]:
    """A tool's parameters as grammars are made of them."""
    [function] = functions([{"function": {"name": "f", "parameters": schema}}])
    return function.parameters


def test_objects_that_name_their_properties_get_no_others():
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    assert parameters(schema)["additionalProperties"] is False
    assert parameters(schema)["properties"]["a"]["additionalProperties"] is False


def test_what_the_schema_says_itself_stays():
    schema = {"type": "object", "properties": {"a": True}, "additionalProperties": {"type": "string"}}
    assert parameters(schema) == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": INT}}, {"properties": {"b": INT}}]},
        {"properties": {"a": INT}, "anyOf": [{"properties": {"b": INT}}]},
        {"properties": {"a": INT}, "oneOf": [{"properties": {"b": INT}}]},
        {
            "properties": {"a": INT},
            "allOf": [{"$ref": "#/$defs/b"}],
            "$defs": {"b": {"properties": {"b": INT}}},
        },
        {"properties": {"a": INT}, "dependentSchemas": {"a": {"properties": {"b": INT}}}},
    ],
)
def test_parts_of_a_whole_do_not_close_each_other(schema: dict[str, Any]):
    whole = parameters(schema)
    ways = whole.get("anyOf", [whole])
    assert any(way["properties"] == {"a": INT, "b": INT} for way in ways)
    assert all(way["additionalProperties"] is False for way in ways)


def test_alternatives_are_closed():
    told_apart = {"oneOf": [{"properties": {"a": INT}}], "discriminator": {"propertyName": "a"}}
    for schema in ({"anyOf": [{"properties": {"a": INT}}, {"type": "null"}]}, told_apart):
        assert "'additionalProperties': False" in str(parameters({"properties": {"p": schema}})["properties"])


def test_a_property_may_have_any_name():
    schema = {"properties": {"properties": {"type": "object", "properties": {"type": {}}}, "type": {}}}
    assert parameters(schema)["properties"]["type"] is True
    assert set(parameters(schema)["properties"]) == {"properties", "type"}


@pytest.mark.parametrize(
    "parameters", ["{}", [], {"type": "array"}, {"type": ["string", "null"]}, {"properties": ["a"]}]
)
def test_a_tool_whose_parameters_are_no_object_is_refused(parameters: Any):
    tools = [{"function": {"name": "a"}}, {"function": {"name": "b", "parameters": parameters}}]
    with pytest.raises(BadRequest, match=r'^invalid parameters of the function "b": '):
        functions(tools)


def test_a_schema_of_endless_depth_is_refused():
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(2000):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(BadRequest, match="nested too deeply"):
        parameters(deep)


def test_a_tool_without_parameters_takes_none():
    for schema in (None, {}, {"type": "object", "properties": {}}):
        assert parameters(schema)["additionalProperties"] is False


def test_what_is_no_schema_language_is_let_go_in_tools():
    schema = {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "any", "required": True, "pattern": r"(x)\1"},
            "b": {"type": ["string", "any"], "enum": ["type"]},
        },
    }
    assert parameters(schema)["type"] == "object"
    assert parameters(schema)["properties"] == {"a": True, "b": {"type": ["string"], "enum": ["type"]}}


def test_a_part_keeps_its_references():
    root = parameters(
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}
    )
    part = standing_alone(root["properties"]["a"], root)
    assert part["$defs"][part["$ref"].rpartition("/")[2]]["items"] == {"$ref": part["$ref"]}
    assert standing_alone({"type": "string"}, root) == {"type": "string"}


def test_older_drafts_are_read_in_tools_too():
    schema = {
        "properties": {
            "pair": {"type": "array", "items": [INT, {"type": "string"}], "additionalItems": False},
            "above": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "node": {"$ref": "node"},
            "either": {"type": ["Integer", "NULL"]},
            "open": {"type": "string", "nullable": True},
        },
        "definitions": {"node": {"$id": "node", "type": "object", "properties": {"next": {"$ref": "node"}}}},
    }
    pair, above, node, either, nullable = parameters(schema)["properties"].values()
    assert pair["prefixItems"] == [INT, {"type": "string"}]
    assert pair["items"] is False
    assert above["exclusiveMinimum"] == 0
    assert parameters(schema)["$defs"][node["$ref"].rpartition("/")[2]]["properties"] == {"next": node}
    assert either == {"type": ["integer", "null"]}
    assert nullable == {"type": ["string", "null"]}


@pytest.mark.parametrize(
    "more",
    [
        {"properties": {"a": INT, "never": {"$ref": "#/properties/never"}}},
        {"properties": {"a": INT, "never": {"not": {}}}, "required": ["a", "never"]},
        {"properties": {"a": INT}, "allOf": [{"$ref": "#"}]},
        {"properties": {"a": INT}, "required": ["a", "b"], "additionalProperties": False},
        {"properties": {"a": INT, "b": "no schema"}},
        {"properties": {"a": INT}, "$id": "http://["},
    ],
)
def test_what_nothing_fits_costs_no_other_argument_its_type(more: dict[str, Any]):
    assert parameters({"type": "object", **more})["properties"]["a"] == INT


def test_required_arguments_that_have_no_schema_can_be_written():
    assert parameters({"type": "object", "required": ["a"]}) == {"type": "object", "required": ["a"]}


def test_null_properties_are_none():
    schema = {"type": "object", "properties": None, "required": None}
    assert parameters(schema) == {"type": "object", "additionalProperties": False}


def test_a_reference_that_leads_nowhere_is_let_go_in_tools():
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/nope"}, "b": {"$ref": "http://x/y"}}}
    assert parameters(schema)["properties"] == {"a": True, "b": True}


def test_what_is_said_otherwise_in_content_is_said_otherwise_in_tools():
    schema = {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date"},
            "set": {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True},
            "code": {"type": "string", "pattern": "^(?=.*[A-Z])\\w{2}$"},
        },
        "required": ["day"],
    }
    day, unique, code = parameters(schema)["properties"].values()
    assert "pattern" in day
    assert [True, True] not in [one.get("const") for one in unique["allOf"][0]["anyOf"]]
    assert "^(?=" not in str(code)
