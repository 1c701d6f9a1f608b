"""Schemas of every kind that structured outputs keep, each small, in the manner of JSON-Schema-Test-Suite."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

Schema = dict[str, Any]


def _object(required: int = -1, /, **properties: Any) -> Schema:
    """An object whose first `required` properties, or all, are required."""
    names = list(properties)
    return {
        "type": "object",
        "properties": properties,
        "required": names if required < 0 else names[:required],
    }


_TEXT: Schema = {"type": "string", "maxLength": 6}
_INT: Schema = {"type": "integer", "minimum": -99, "maximum": 99}
_TRUTH: Schema = {"type": "boolean"}
_PARTS: list[Schema] = [_TEXT, _INT, _TRUTH, {"type": "null"}, {"enum": ["red", 5, None]}, {"type": "number"}]

_TYPES: list[Schema] = [
    *({"type": kind} for kind in ("boolean", "null", "integer", "number")),
    *({"type": list(pair)} for pair in (("boolean", "null"), ("integer", "null"), ("number", "boolean"))),
]
_NUMBERS: list[Schema] = [
    *(
        {"type": kind, low: least, high: most}
        for kind, low, high in product(
            ("integer", "number"), ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
        )
        for least, most in ((-5, 5), (0, 1000), (-1000, -10))
    ),
    *({"type": "integer", "multipleOf": step, "minimum": 0, "maximum": 10 * step} for step in (2, 5, 7)),
    {"type": "integer", "minimum": 10},
    {"type": "number", "maximum": 0.5},
    {"type": "number", "minimum": 0.1, "maximum": 0.2},
]
_STRINGS: list[Schema] = [
    *(
        {"type": "string", "minLength": least, "maxLength": least + room}
        for least in (0, 1, 5)
        for room in (0, 1, 4)
    ),
    *(
        {"type": "string", "pattern": pattern}
        for pattern in (
            "^[a-z]{3}$",
            "^(foo|bar)$",
            r"^\d{3}-\d{4}$",
            "^#[0-9a-f]{6}$",
            "^a{2,4}b?$",
            r"^[A-Z]\w{1,3}$",
            "^(é|ü)[^x]$",
            "^$",
            '^"\\\\$',
            "^[+-]?[0-9]{1,4}(\\.[0-9]{1,2})?$",
        )
    ),
    *(
        {"type": "string", "format": name}
        for name in ("date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
    ),
    {"type": "string", "pattern": "^[a-z]*$", "minLength": 2, "maxLength": 5},
]
_FIXED: list[Schema] = [
    *(
        {"const": value}
        for value in ("a", 5, None, True, 1.5, [], {}, [1, "b"], {"k": [None]}, 'q"\\\n', "日本")
    ),
    {"enum": ["a", "b", "c"]},
    {"enum": [1, 2.5, "x", None, True, [0], {"y": 1}]},
    {"enum": ["it's", 'a "b"', "c\\d", "e\nf", ""]},
    {"type": "string", "enum": ["one"]},
    {"type": "integer", "enum": [1, 10, 100]},
]
_ARRAYS: list[Schema] = [
    *({"type": "array", "items": part, "maxItems": 3} for part in _PARTS),
    *({"type": "array", "items": part, "minItems": 1, "maxItems": 2} for part in _PARTS),
    *({"type": "array", "items": _INT, "minItems": size, "maxItems": size} for size in (0, 2, 5)),
    {"type": "array", "prefixItems": [_TEXT, _INT], "items": False, "minItems": 2},
    {"type": "array", "prefixItems": [_TRUTH], "items": _INT, "minItems": 1, "maxItems": 3},
    {"type": "array", "items": {"type": "array", "items": _INT, "maxItems": 2}, "maxItems": 2},
    {"type": "array", "items": _object(a=_INT), "minItems": 1, "maxItems": 2},
]
_OBJECTS: list[Schema] = [
    *(_object(a=part) for part in _PARTS),
    *(_object(0, a=part) for part in _PARTS),
    *(_object(1, a=one, b=other) for one, other in product(_PARTS, repeat=2)),
    _object(a=_object(b=_object(c=_TEXT))),
    _object(0, a=_INT, b=_INT, c=_INT),
    _object(2, a=_INT, b=_TEXT, c=_TRUTH, d={"type": "null"}),
    _object(**{'odd "key"': _INT, "日本": _TEXT, "": _TRUTH}),
    _object(properties=_INT, required=_TEXT, type=_TRUTH),
    {"type": "object", "additionalProperties": _INT, "maxProperties": 1},
    {"type": "object", "properties": {}, "additionalProperties": False},
    {
        "type": "object",
        "patternProperties": {"^x[0-9]$": _INT},
        "additionalProperties": False,
        "maxProperties": 1,
    },
    {**_object(a=_INT), "additionalProperties": False},
    {**_object(1, a=_INT, b=_TEXT), "title": "T", "description": "D", "default": {}, "examples": [1]},
]
_TREE: Schema = _object(1, leaf=_TRUTH, left={"$ref": "#/$defs/tree"})
_REFERRED: list[Schema] = [
    {"$ref": "#/$defs/a", "$defs": {"a": _INT}},
    {"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/b"}, "b": _TRUTH}},
    {**_object(a={"$ref": "#/$defs/n"}, b={"$ref": "#/$defs/n"}), "$defs": {"n": _INT}},
    {**_object(a={"$ref": "#/$defs/odd~1name"}), "$defs": {"odd/name": _TEXT}},
    {**_object(1, a=_INT, b={"$ref": "#/properties/a"})},
    {"$ref": "#/$defs/tree", "$defs": {"tree": _TREE}},
    {**_object(1, value=_INT, next={"$ref": "#"})},
    {
        "$ref": "#/$defs/list",
        "$defs": {"list": {"type": "array", "items": {"$ref": "#/$defs/list"}, "maxItems": 1}},
    },
]
_COMBINED: list[Schema] = [
    *({"anyOf": list(pair)} for pair in combinations(_PARTS[1:], 2)),
    *(_object(a={"anyOf": list(pair)}) for pair in combinations(_PARTS[:5], 2)),
    *(
        {"anyOf": [one, other]}
        for one, other in ((_INT, _TEXT), (_TRUTH, {"type": "null"}), (_TEXT, {"type": "null"}))
    ),
    {"anyOf": [_object(a=_INT), _object(b=_TEXT)]},
    {"anyOf": [{"type": "array", "items": _INT, "maxItems": 2}, _object(a=_TRUTH)]},
    _object(1, kind={"anyOf": [{"const": "x"}, {"const": "y"}]}, more={"anyOf": [_INT, {"type": "null"}]}),
    {"oneOf": [{"type": "null"}, _INT]},
    {
        "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}],
        "discriminator": {"propertyName": "kind"},
        "$defs": {
            "cat": _object(kind={"const": "cat"}, lives=_INT),
            "dog": _object(kind={"const": "dog"}, good=_TRUTH),
        },
    },
    {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9}]},
    {"allOf": [_object(a=_INT), _object(b=_TRUTH)], "additionalProperties": True},
    {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": _object(x=_INT)}},
    {**_object(0, a=_INT, b=_INT), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {
        "type": "object",
        "properties": {"a": _INT},
        "required": ["a"],
        "anyOf": [{"properties": {"b": _TRUTH}}],
    },
]

_CHOICE: Schema = _object(1, kind={"enum": ["x", "y"]}, text=_TEXT, count=_INT)
_LOWERED: list[Schema] = [
    *(
        {"type": "array", "items": {"enum": list(names)}, "uniqueItems": True}
        for names in ("ab", "abc", "abcdefg")
    ),
    *(
        {"type": "array", "items": one, "uniqueItems": True, "maxItems": 2}
        for one in ({"type": "boolean"}, {"enum": [1, 2]})
    ),
    *({"type": "array", "items": _INT, "contains": {"const": one}, "maxItems": 3} for one in (5, -7)),
    {
        "type": "array",
        "contains": _INT,
        "minContains": 2,
        "maxContains": 3,
        "items": {"type": ["integer", "null"]},
        "maxItems": 4,
    },
    {
        **_CHOICE,
        "if": {"properties": {"kind": {"const": "x"}}},
        "then": {"required": ["text"]},
        "else": {"required": ["count"]},
    },
    {**_CHOICE, "allOf": [{"if": {"properties": {"kind": {"const": "y"}}}, "then": {"required": ["count"]}}]},
    {**_CHOICE, "dependentRequired": {"text": ["count"]}},
    {**_CHOICE, "dependentSchemas": {"text": _object(more=_TRUTH)}},
    {**_CHOICE, "dependencies": {"text": ["count"], "count": {"required": ["text"]}}},
    {**_CHOICE, "not": {"required": ["text"]}},
    {**_CHOICE, "oneOf": [{"required": ["text"]}, {"required": ["count"]}]},
    *(
        {**_object(0, a=_INT, b=_TEXT, c=_TRUTH), key: count}
        for key in ("minProperties", "maxProperties")
        for count in (1, 2, 3)
    ),
    {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": _INT},
    {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z]{1,2}$"},
        "additionalProperties": _INT,
        "maxProperties": 1,
    },
    {"type": "object", "propertyNames": {"format": "date"}, "additionalProperties": _INT, "maxProperties": 1},
    *({"type": "string", "not": {"enum": names}, "maxLength": 3} for names in (["a"], ["a", "ab", ""])),
    *(
        {"type": "integer", "not": {"enum": numbers}, "minimum": 0, "maximum": 9}
        for numbers in ([3], [0, 1, 9])
    ),
    {"not": {"type": ["object", "array", "string"]}},
    {"oneOf": [{"type": "string", "maxLength": 3}, {"type": "string", "minLength": 2, "maxLength": 6}]},
    {"oneOf": [_INT, {"type": "number", "minimum": 100, "maximum": 200}, _TRUTH]},
    {"oneOf": [_object(a=_INT), _object(b=_INT), _object(a=_TRUTH, b=_TRUTH)]},
    {"allOf": [_object(a=_INT), _object(0, b=_TEXT)], "unevaluatedProperties": False},
    {**_object(a=_INT), "anyOf": [_object(b=_TRUTH), _object(c=_TRUTH)], "unevaluatedProperties": False},
    {
        "allOf": [{"prefixItems": [_INT]}, {"prefixItems": [True, _TRUTH]}],
        "unevaluatedItems": False,
        "type": "array",
    },
    *(
        {"type": "string", "format": name}
        for name in (
            "uri",
            "uri-reference",
            "iri",
            "idn-email",
            "json-pointer",
            "regex",
            "uri-template",
            "password",
        )
    ),
    *(
        {"type": "string", "pattern": pattern}
        for pattern in (
            "^(?=.*[A-Z])(?=.*\\d).{2,8}$",
            "^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$",
            "^(?!\\.)(?!.*\\.\\.)[a-z.]{1,5}$",
            "^(?=.{1,9}$)[a-z]{1,5}(-[a-z]{1,5})?$",
        )
    ),
    {"type": "number", "multipleOf": 0.5, "minimum": -2, "maximum": 2},
    {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 1},
    {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    {**_object(1, v=_INT, next={"$ref": "#", "minProperties": 1})},
    {"$id": "http://example.com/a", **_object(a={"$ref": "b"}), "$defs": {"b": {"$id": "b", **_INT}}},
    {"properties": {"a": _INT}, "required": ["a"]},
    {"type": ["string", "null"], "pattern": "^[a-f]$"},
]

SCHEMAS: list[Schema] = [
    *_TYPES,
    *_NUMBERS,
    *_STRINGS,
    *_FIXED,
    *_ARRAYS,
    *_OBJECTS,
    *_REFERRED,
    *_COMBINED,
    *_LOWERED,
]
