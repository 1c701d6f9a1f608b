"""How schemas are closed before they become grammars."""

from __future__ import annotations

from puna.engine.grammar import closed


def test_objects_that_name_their_properties_get_no_others() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    assert closed(schema)["additionalProperties"] is False
    assert closed(schema)["properties"]["a"]["additionalProperties"] is False


def test_what_the_schema_says_itself_stays() -> None:
    schema = {"properties": {"a": {}}, "additionalProperties": {"type": "string"}}
    assert closed(schema) == schema


def test_combined_schemas_stay_open() -> None:
    schema = {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}
    assert closed(schema) == schema


def test_data_in_a_schema_is_not_taken_for_schema() -> None:
    schema = {"const": {"properties": {"a": 1}}}
    assert closed(schema) == schema
