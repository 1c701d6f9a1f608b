"""Schemas that a grammar cannot keep as they are: every answer fits, or the keyword is named."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from puna.chat.grammars.lowering import lower
from puna.errors import BadRequest
from puna.types import Grammar

from . import asked
from .walking import admitted, walk

Schema = dict[str, Any]

INT: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}


def an_object(*required: str, **properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def held(schema: Schema) -> Grammar:
    return asked.held("plain", schema=schema, think=False)


def admits(schema: Schema, value: Any) -> bool:
    return admitted(held(schema), json.dumps(value, ensure_ascii=False))


KEPT: list[tuple[Schema, list[Any], list[Any]]] = [
    # uniqueItems
    (
        {"type": "array", "items": {"enum": ["a", "b", 1]}, "uniqueItems": True},
        [[], ["b", "a"], [1]],
        [["a", "a"]],
    ),
    (
        {"type": "array", "items": {"enum": list("abcdefg")}, "uniqueItems": True, "minItems": 1},
        [["a", "g"], list("abcdefg")],
        [["a", "a"], []],
    ),
    ({"type": "array", "items": {"type": "boolean"}, "uniqueItems": True}, [[True, False]], [[True, True]]),
    ({"type": "array", "items": TEXT, "uniqueItems": True, "maxItems": 1}, [["x"]], [["x", "x"]]),
    # contains
    ({"type": "array", "items": INT, "contains": {"const": 5}}, [[5], [5, 1]], [[], [1, 2]]),
    (
        {
            "type": "array",
            "contains": INT,
            "minContains": 2,
            "maxContains": 3,
            "items": {"type": ["integer", "null"]},
        },
        [[1, 2], [1, 2, None]],
        [[1], [1, 2, 3, 4]],
    ),
    # if, then, else
    (
        {
            **an_object("k", k={"enum": ["x", "y"]}, v=TEXT, w=INT),
            "if": {"properties": {"k": {"const": "x"}}},
            "then": {"required": ["v"]},
            "else": {"required": ["w"]},
        },
        [{"k": "x", "v": ""}, {"k": "y", "w": 1}],
        [{"k": "x", "w": 1}, {"k": "y", "v": ""}, {"k": "x"}],
    ),
    (
        {
            **an_object("k", k=TEXT, v=TEXT),
            "if": {"properties": {"k": {"pattern": "^a"}}, "required": ["k"]},
            "then": {"required": ["v"]},
        },
        [{"k": "a", "v": "x"}],
        [{"k": "a"}],
    ),
    # dependentRequired, dependentSchemas, dependencies
    (
        {**an_object(a=INT, b=INT), "dependentRequired": {"a": ["b"]}},
        [{}, {"b": 1}, {"a": 1, "b": 2}],
        [{"a": 1}],
    ),
    (
        {**an_object(a=INT), "dependentSchemas": {"a": an_object("b", b=TEXT)}},
        [{}, {"a": 1, "b": "x"}],
        [{"a": 1}],
    ),
    # not
    ({"type": "string", "not": {"enum": ["a", "ab"]}}, ["", "b", "abc", "aa"], ["a", "ab"]),
    ({"type": "integer", "not": {"const": 3}, "minimum": 2, "maximum": 4}, [2, 4], [3]),
    ({"enum": ["a", "b", "c"], "not": {"const": "b"}}, ["a", "c"], ["b"]),
    ({**an_object(a=INT, b=INT), "not": {"required": ["a"]}}, [{"b": 1}, {}], [{"a": 1}]),
    ({"not": {"anyOf": [{"type": "object"}, {"type": "array"}]}}, [1, "x", None], [{}, []]),
    (an_object("a", a={"not": {"type": ["string", "null"]}}), [{"a": 1}], [{"a": "x"}, {"a": None}]),
    # oneOf
    (
        {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "string", "minLength": 2}]},
        ["a", "abcd"],
        ["ab"],
    ),
    ({"oneOf": [an_object("a", a=INT), an_object("b", b=INT)]}, [{"a": 1}, {"b": 1}], [{"a": 1, "b": 1}]),
    (
        {
            **an_object(a=INT, b=INT),
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        [{"a": 1}, {"b": 1}],
        [{}, {"a": 1, "b": 1}],
    ),
    (
        {
            "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}],
            "$defs": {
                "cat": an_object("kind", kind={"const": "cat"}, lives=INT),
                "dog": an_object("kind", kind={"enum": ["dog", "wolf"]}),
            },
        },
        [{"kind": "cat", "lives": 9}, {"kind": "wolf"}],
        [{"kind": "wolf", "lives": 9}],
    ),
    # names and numbers of properties
    (
        {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": INT},
        [{"b": 1}],
        [{"c": 1}],
    ),
    (
        {"type": "object", "propertyNames": {"pattern": "^[a-z]$"}, "additionalProperties": INT},
        [{"q": 1}],
        [{"Q": 1}],
    ),
    ({"type": "object", "propertyNames": TEXT, "additionalProperties": INT}, [{"any": 1}], [{"any": "x"}]),
    ({**an_object(a=INT, b=INT, c=INT), "minProperties": 2}, [{"a": 1, "c": 1}], [{"b": 1}, {}]),
    (
        {**an_object("a", a=INT, b=INT, c=INT), "maxProperties": 2},
        [{"a": 1, "c": 1}],
        [{"a": 1, "b": 1, "c": 1}],
    ),
    # everything that no part speaks of
    (
        {"allOf": [an_object("a", a=INT), {"properties": {"b": TEXT}}], "unevaluatedProperties": False},
        [{"a": 1}, {"a": 1, "b": "x"}],
        [{"a": 1, "c": 1}],
    ),
    # tuples of every draft
    (
        {"type": "array", "items": [INT, TEXT], "additionalItems": False, "minItems": 2},
        [[1, "x"]],
        [[1], [1, "x", 2]],
    ),
    ({"type": "integer", "minimum": 3, "exclusiveMinimum": True, "maximum": 5}, [4, 5], [3]),
    # references
    (
        {
            "$id": "http://example.com/all",
            **an_object("a", a={"$ref": "part"}, b={"$ref": "#named"}),
            "$defs": {"x": {"$id": "part", "type": "integer"}, "y": {"$anchor": "named", "type": "string"}},
        },
        [{"a": 1, "b": "x"}],
        [{"a": "x"}],
    ),
    (an_object("a", a={"$ref": "#/properties/b%20c"}, **{"b c": INT}), [{"a": 1}], [{"a": "x"}]),
    (
        {**an_object("v", v=INT, next={"$ref": "#", "description": "and so on", "minProperties": 1})},
        [{"v": 1, "next": {"v": 2, "next": {"v": 3}}}],
        [{"v": 1, "next": {}}],
    ),
    # patterns that look ahead, and formats
    ({"type": "string", "pattern": "^(?=.*[A-Z])(?=.*\\d).{4,8}$"}, ["Abc1"], ["abc1", "A1"]),
    ({"type": "string", "pattern": "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"}, ["-1.50", ".5"], ["-", ".", ""]),
    (
        {"type": "string", "pattern": "^(?!\\.)(?!.*\\.\\.)[a-z.]+@x\\.y$"},
        ["a.b@x.y"],
        ["a..b@x.y", ".a@x.y"],
    ),
    (
        {"type": "string", "format": "date"},
        ["2024-02-29", "2000-02-29"],
        ["2023-02-29", "1900-02-29", "2023-04-31"],
    ),
    ({"type": "string", "format": "time"}, ["10:00:00Z", "23:59:59.5+02:00"], ["23:59:60Z", "10:00:00"]),
    ({"type": "string", "format": "hostname"}, ["a.example"], ["-a", "xn--a", "a..b"]),
    ({"type": "string", "format": "no such format"}, ["x"], []),
    # numbers
    ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, [0, -5, 2**53 - 1], []),
    ({"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 1}, [0, 0.25, 1], [0.255, 0.59]),
    # no type, and nothing but JSON
    ({}, [{}, {"a": 1}], ["x", 1]),
    ({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "T"}, [{}], [1]),
    ({"properties": {"a": INT}}, [{"a": 1}], ["x", {"b": 1}]),
]


@pytest.mark.parametrize(("schema", "right", "wrong"), KEPT, ids=lambda value: json.dumps(value)[:60])
def test_what_is_said_otherwise_means_the_same(schema: Schema, right: list[Any], wrong: list[Any]):
    grammar = held(schema)
    for value in right:
        assert admitted(grammar, json.dumps(value)), value
    for value in wrong:
        assert not admitted(grammar, json.dumps(value)), value
    old = isinstance(schema.get("items"), list) or schema.get("exclusiveMinimum") is True
    kind = Draft7Validator if old else Draft202012Validator
    reader = kind({**schema, "exclusiveMinimum": 3} if schema.get("exclusiveMinimum") is True else schema)
    for seed in range(5):
        if (text := walk(grammar, (), seed, steps=80)) is not None:
            assert reader.is_valid(json.loads(text)), text


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"items": INT}, "[1, 2, 1]", '["a"]'),
        ({"items": {"enum": list("abcdefghi")}, "minItems": 2}, '["a", "i"]', '["a"]'),
        ({"prefixItems": [INT], "items": TEXT, "maxItems": 3}, '[1, "a"]', '[1, "a", "b", "c"]'),
        ({"items": INT, "contains": {"const": 7}}, "[7, 1]", "[1, 2]"),
    ],
)
def test_values_that_cannot_be_listed_may_repeat(schema: dict[str, Any], right: str, wrong: str):
    grammar = held({"type": "array", "uniqueItems": True, **schema})
    assert admitted(grammar, right)
    assert not admitted(grammar, wrong)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "additionalProperties": INT, "minProperties": 2}, "minProperties"),
        ({"type": "string", "not": {"pattern": "x"}}, "not"),
        ({"type": "string", "pattern": "^(a)\\1$"}, "pattern"),
        ({"type": "string", "pattern": "a(?<!bb)c"}, "pattern"),
        ({"oneOf": [{"type": "string", "pattern": "a"}, {"type": "string", "pattern": "b"}]}, "oneOf"),
        ({"$ref": "http://example.com/far.json"}, "leads nowhere"),
        ({"$ref": "#/$defs/nope"}, "leads nowhere"),
        ({"type": "integer", "minimum": 1e20}, "minimum"),
        ({"type": "strnig"}, "type"),
        ({"properties": []}, "properties"),
        ({"properties": {"a": {"required": True}}}, "required"),
        ({"properties": {"$ref": 1, "a": 2}}, "a schema must be"),
        ({"minLength": -1}, "minLength"),
        ({"anyOf": []}, "anyOf"),
        ({"items": {"enum": "a"}}, "enum"),
        ({"$ref": "#"}, "leads only to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "itself"),
    ],
)
def test_what_cannot_be_kept_is_named_before_anything_is_said(schema: Schema, named: str):
    with pytest.raises(BadRequest, match=r"^invalid JSON schema in format: ") as refused:
        held(schema)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [TEXT, INT]},
        {"const": 1, "enum": [2]},
        {"not": {}},
        {"enum": []},
        {"type": "array", "items": False, "minItems": 1},
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {**an_object(a=INT), "minProperties": 2},
        {**an_object("a", "b", a=INT, b=INT), "maxProperties": 1},
        {"oneOf": [INT, {"type": "number"}], "type": "integer"},
        {"$ref": "#/$defs/a", "$defs": {"a": an_object("next", next={"$ref": "#/$defs/a"})}},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
    ],
)
def test_what_nothing_fits_is_refused(schema: Schema):
    with pytest.raises(BadRequest, match=r"^invalid JSON schema in format: nothing fits it"):
        held(schema)


def test_properties_come_in_the_schemas_order_at_every_depth():
    inner = an_object("z", z=INT, a=INT)
    schema = an_object("why", "end", why=TEXT, part=inner, end=INT)
    assert admits(schema, {"why": "", "part": {"z": 1, "a": 2}, "end": 3})
    assert not admits(schema, {"part": {"z": 1}, "why": "", "end": 3})
    assert not admits(schema, {"why": "", "part": {"a": 2, "z": 1}, "end": 3})
    inherited = {"allOf": [an_object("b", b=INT), an_object("a", a=INT)]}
    assert admits(inherited, {"b": 1, "a": 1})
    assert not admits(inherited, {"a": 1, "b": 1})


def test_properties_that_no_part_names_are_not_invented():
    parts = {"allOf": [an_object("a", a=INT), {"properties": {"b": TEXT}}]}
    assert not admits(parts, {"a": 1, "c": 1})
    beside = {**an_object("a", a=INT), "anyOf": [{"properties": {"b": TEXT}}, {"properties": {"c": TEXT}}]}
    assert admits(beside, {"a": 1, "c": "x"})
    assert not admits(beside, {"a": 1, "b": "x", "c": "x"})
    assert admits({**parts, "additionalProperties": True}, {"a": 1, "c": 1})


def test_a_merged_property_keeps_what_all_parts_say_of_it():
    schema = {"allOf": [{"properties": {"n": an_object(name, **{name: INT})}} for name in "xy"]}
    schema = {**schema, "required": ["n"]}
    assert admits(schema, {"n": {"x": 1, "y": 2}})
    assert not admits(schema, {"n": {"x": 1}})


def test_many_alternatives_are_kept_as_they_are_and_endless_ones_refused():
    def choices(ways: int) -> Schema:
        return {
            "allOf": [
                {"anyOf": [an_object(**{name: {"const": way}}) for way in range(ways)]} for name in "abc"
            ]
        }

    assert admits(choices(6), {"a": 1, "b": 5, "c": 0})
    assert not admits(choices(6), {"a": 1, "b": 7})
    for schema, named in (
        ({**choices(6), "unevaluatedProperties": False}, "unevaluatedProperties"),
        (choices(14), "too many alternatives"),
    ):
        with pytest.raises(BadRequest, match=named):
            held(schema)


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", "a", "#", "#/$defs/a", "#/allOf/0", "#/allOf/²", "http://[", "(", "string", "date"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
_FURTHER = ("$ref", "$dynamicRef", "$id", "$anchor", "$defs", "dependencies", "pattern", "enum", "multipleOf")
_KEYWORDS = sorted({*_FURTHER, *(key for schema, *_ in KEPT for key in schema)})


@given(
    st.recursive(
        _JUNK,
        lambda inner: st.dictionaries(
            st.sampled_from(_KEYWORDS),
            inner | st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            max_size=4,
        ),
        max_leaves=12,
    )
)
def test_whatever_is_sent_as_a_schema_is_kept_or_refused(schema: Any):
    with suppress(BadRequest):
        lower(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "http://[", "$ref": "#"},
        {"$dynamicRef": "http://["},
        {"allOf": [{}], "$ref": "#/allOf/" + "9" * 5000},
        {"allOf": [{}], "$ref": "#/allOf/²"},
    ],
)
def test_a_reference_that_is_none_is_refused(schema: Schema):
    with pytest.raises(BadRequest, match="invalid JSON schema in format: "):
        lower(schema)
