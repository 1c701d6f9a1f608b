"""The type of a decoded JSON Schema, and its keywords that contain schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}

MAPS = ("properties", "patternProperties", "dependentSchemas")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = (
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
DEFINITIONS = ("$defs", "definitions")


def rebuild(schema: Schema, change: Callable[[Any], Any]) -> Schema:
    """A normalised schema (see `document`) with each subschema changed."""
    result: Schema = {}
    for key, value in schema.items():
        if key in MAPS or key in DEFINITIONS:
            result[key] = {name: change(one) for name, one in value.items()}
        elif key in LISTS:
            result[key] = [change(one) for one in value]
        else:
            result[key] = change(value) if key in SINGLE else value
    return result
