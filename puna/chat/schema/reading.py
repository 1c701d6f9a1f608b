"""Queries on a normalised schema: types, constants and properties.

`targets` are the targets of its references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from puna.chat.patterns import InvalidPattern, Unsupported, is_found

from .keywords import TYPES, Schema

Targets = dict[str, Any]

_DEEPEST = 16
_KINDS: list[tuple[str, Callable[[Any], bool]]] = [
    ("null", lambda value: value is None),
    ("boolean", lambda value: isinstance(value, bool)),
    ("integer", lambda value: isinstance(value, int) or (isinstance(value, float) and value.is_integer())),
    ("number", lambda value: isinstance(value, float)),
    ("string", lambda value: isinstance(value, str)),
    ("array", lambda value: isinstance(value, list)),
    ("object", lambda value: isinstance(value, dict)),
]


def kind_of(value: Any) -> str:
    """A JSON value's type; "integer" for whole numbers, also when written as floats."""
    return next(kind for kind, holds in _KINDS if holds(value))


def own_kinds(schema: Any) -> set[str]:
    """The types that a schema's own keywords allow: "number" includes "integer"; without a type, all."""
    if not isinstance(schema, dict):
        return set(TYPES) if schema else set()
    types = schema.get("type", TYPES)
    kinds = {types} if isinstance(types, str) else set(types)
    if "number" in kinds:
        kinds.add("integer")
    if (values := _named(schema)) is not None:
        kinds &= set(map(kind_of, values))
    return kinds


def kinds(schema: Any, targets: Targets, depth: int = 0) -> set[str]:
    """`own_kinds`, restricted by the schemas that it combines."""
    found = own_kinds(schema)
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return found
    for part in _all_of(schema, targets):
        found &= kinds(part, targets, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            found &= set().union(*(kinds(one, targets, depth + 1) for one in schema[key]))
    return found


def constants(schema: Any, targets: Targets) -> Iterator[Any]:
    """The values that a schema lists."""
    return (value for one in _combined(schema, targets) for value in _named(one) or ())


def parameter(schema: Any, name: str, targets: Targets, depth: int = 0) -> Any:
    """The schema of an object's property, from anywhere in the object's `schema`; None if there is none."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    declared = schema.get("properties", {})
    found = [declared[name]] if name in declared else []
    if not found:
        found = [one for pattern, one in schema.get("patternProperties", {}).items() if _fits(pattern, name)]

    def within(part: Any) -> Any:
        return parameter(part, name, targets, depth + 1)

    found += [one for part in _all_of(schema, targets) if (one := within(part)) is not None]
    for options in _any_of(schema):
        alternatives = [one for part in options if (one := within(part)) is not None]
        found += [{"anyOf": alternatives}] if alternatives else []
    further = schema.get("additionalProperties")
    if not found and isinstance(further, dict) and further:
        return further
    return found[0] if len(found) == 1 else {"allOf": found} if found else None


def element(schema: Any, index: int, targets: Targets) -> Any:
    """The schema of a list's element, from anywhere in the list's `schema`; None if there is none."""
    for one in _combined(schema, targets):
        if index < len(first := one.get("prefixItems", ())):
            return first[index]
        if "items" in one:
            return one["items"]
    return None


def parameters(schema: Any, targets: Targets) -> Iterator[str]:
    """The properties that an object's schema names, perhaps with repetitions."""
    return (name for one in _combined(schema, targets) for name in one.get("properties", {}))


def resolve(schema: Any, targets: Targets) -> Any:
    """The target of a schema that is only a reference, or the schema itself."""
    passed: set[str] = set()
    while isinstance(schema, dict) and "$ref" in schema and schema["$ref"] not in passed:
        if any(key in schema for key in ("properties", "allOf", "enum")):
            break
        passed.add(schema["$ref"])
        schema = targets[schema["$ref"]]
    return schema


def targets_of(root: Schema) -> Targets:
    """The targets of a normalised schema's references."""
    return {f"#/$defs/{name}": one for name, one in root.get("$defs", {}).items()}


def standing_alone(schema: Any, root: Schema) -> Any:
    """A part of `root` as a separate schema with the definitions that it needs."""
    definitions = root.get("$defs")
    return {**schema, "$defs": definitions} if definitions and "$ref" in str(schema) else schema


def _named(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _combined(schema: Any, targets: Targets, depth: int = 0) -> Iterator[Schema]:
    """A schema and all that it combines, in order."""
    if isinstance(schema, dict) and depth <= _DEEPEST:
        yield schema
        for part in [*_all_of(schema, targets), *(one for options in _any_of(schema) for one in options)]:
            yield from _combined(part, targets, depth + 1)


def _all_of(schema: Schema, targets: Targets) -> list[Any]:
    """The schemas that must all hold beside a schema's own keywords."""
    return [*schema.get("allOf", ()), *([targets[schema["$ref"]]] if "$ref" in schema else [])]


def _any_of(schema: Schema) -> list[list[Any]]:
    """The schemas of which one must hold."""
    found = [schema[key] for key in ("anyOf", "oneOf") if key in schema]
    return [*found, [schema[key] for key in ("then", "else") if key in schema]]


def _fits(pattern: str, name: str) -> bool:
    try:
        return is_found(pattern, name)
    except (InvalidPattern, Unsupported):
        return False
