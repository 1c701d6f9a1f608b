"""A JSON Schema as it was decoded, and which of its keywords hold schemas."""

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


def rebuilt(schema: Schema, change: Callable[[Any], Any]) -> Schema:
    """A schema in one form (see `document`) with each of its parts changed."""
    result: Schema = {}
    for key, value in schema.items():
        if key in MAPS or key in DEFINITIONS:
            result[key] = {name: change(one) for name, one in value.items()}
        elif key in LISTS:
            result[key] = [change(one) for one in value]
        else:
            result[key] = change(value) if key in SINGLE else value
    return result
