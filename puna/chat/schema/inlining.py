"""Replaces a schema's references by their targets, for prompts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from puna.errors import BadRequest

from .keywords import DEFINITIONS, LISTS, MAPS, SINGLE, Schema
from .references import References

_MOST = 1_000
"""Most subschemas of a result; definitions that name each other several times grow exponentially."""

_OUTLINE = ("type", "title", "description")


def inlined(schema: Schema) -> Schema:
    """A schema as a client wrote it, without references and definitions, and with `allOf` merged if possible.

    Of a target within itself, and of all targets in too large a schema, only type, title and description
    stay. Keywords beside a reference precede its target's.
    """
    return _Inlining(schema).read(schema, frozenset())


class _Inlining:
    def __init__(self, root: Schema) -> None:
        self._references = References(root, lenient=True)
        self._left = _MOST

    def read(self, schema: Any, within: frozenset[int]) -> Any:
        """`schema`, which is within the targets with these ids."""
        if not isinstance(schema, dict):
            return schema
        self._left -= 1
        result: Schema = {}
        for key, value in schema.items():
            if key in MAPS and isinstance(value, dict):
                result[key] = {name: self.read(one, within) for name, one in value.items()}
            elif key in (*LISTS, "items") and isinstance(value, list):
                result[key] = [self.read(one, within) for one in value]
            elif key in SINGLE:
                result[key] = self.read(value, within)
            elif key not in ("$ref", *DEFINITIONS):
                result[key] = value
        if isinstance(reference := schema.get("$ref"), str):
            result = self._target(reference, schema, within) | result
        if isinstance(parts := result.pop("allOf", None), list):
            others = [part for part in parts if not _add(part, result)]
            result |= {"allOf": others} if others else {}
        return result

    def _target(self, reference: str, schema: Schema, within: frozenset[int]) -> Schema:
        target = None
        with suppress(BadRequest):
            _, target = self._references.target(reference, schema)
        if not isinstance(target, dict):
            return {}
        if id(target) in within or self._left < 0:
            return {key: target[key] for key in _OUTLINE if key in target}
        return self.read(target, within | {id(target)})


def _add(part: Any, schema: Schema) -> bool:
    """Adds the keywords of `part` to `schema`; False if both have one of them, except properties."""
    if not isinstance(part, dict) or (part.keys() & schema.keys()) - {"properties", "required", *_OUTLINE}:
        return False
    both = part | schema
    for key, kind in (("properties", dict), ("required", list)):
        if not all(isinstance(one.get(key, kind()), kind) for one in (part, schema)):
            return False
    if "properties" in both:
        both["properties"] = part.get("properties", {}) | schema.get("properties", {})
    if "required" in both:
        both["required"] = [*dict.fromkeys([*schema.get("required", ()), *part.get("required", ())])]
    schema |= both
    return True
