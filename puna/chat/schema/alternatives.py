"""The alternatives of an object, for notations that write its properties one by one."""

from __future__ import annotations

from typing import Any

from .keywords import Schema
from .reading import Targets, resolve

_CHOICES = ("anyOf", "oneOf", "allOf")
_MOST = 24
"""Most alternatives to write out for an object that also has its own properties."""

_DEEPEST = 16


def object_alternatives(schema: Any, targets: Targets, depth: int = 0) -> list[Schema]:
    """Each alternative's properties, and the required ones. Too many choices are all dropped."""
    schema = resolve(schema, targets)
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return [{}] if schema is True else []
    found = [{key: one for key, one in schema.items() if key not in _CHOICES}]
    parts = [schema[key] for key in ("anyOf", "oneOf") if key in schema]
    for options in [*parts, *([one] for one in schema.get("allOf", ()))]:
        chosen = [part for one in options for part in object_alternatives(one, targets, depth + 1)]
        if chosen and (len(found) * len(chosen) <= _MOST or not schema.get("properties")):
            found = [both for one in found for part in chosen if (both := _both(one, part))]
    return found


def _both(one: Schema, other: Schema) -> Schema | None:
    """The combination of both, or None if it lacks a required property."""
    lacking = {name: False for name, kept in other.get("properties", {}).items() if kept is False}
    properties = {**other.get("properties", {}), **one.get("properties", {}), **lacking}
    required = list(dict.fromkeys([*one.get("required", ()), *other.get("required", ())]))
    if any(properties.get(name) is False for name in required):
        return None
    return {**other, **one, "properties": properties, "required": required}
