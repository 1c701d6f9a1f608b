"""Finds schemas that no finite value fits, because a value would have to contain itself without end."""

from __future__ import annotations

from typing import Any

from puna.chat.schema import Schema, rebuild


def ends(schema: Schema) -> bool:
    """Whether some finite value may fit a lowered schema."""
    return _ends(schema, _ending(schema.get("$defs", {})))


def _ending(definitions: dict[str, Any]) -> set[str]:
    """The definitions that some finite value fits."""
    ending: set[str] = set()
    while found := [name for name, one in definitions.items() if name not in ending and _ends(one, ending)]:
        ending.update(found)
    return ending


def prune(schema: Schema) -> Schema:
    """A lowered schema without parts that no value fits: a sampler would enter them and never leave."""
    definitions: dict[str, Any] = schema.get("$defs", {})
    ending = _ending(definitions)
    if len(ending) == len(definitions) and "$ref" not in str(schema):
        return schema
    kept = {name: _prune(one, ending) for name, one in definitions.items() if name in ending}
    result = _prune({key: one for key, one in schema.items() if key != "$defs"}, ending)
    return {**result, "$defs": kept} if kept else result


def _prune(schema: Any, ending: set[str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    if not _ends(schema, ending):
        return False
    result = rebuild(schema, lambda one: _prune(one, ending))
    if "anyOf" in result:
        result["anyOf"] = [one for one in result["anyOf"] if one is not False]
    first = result.get("prefixItems", [])
    if False in first:
        # Items after an impossible one are never reached.
        result["maxItems"] = min(schema.get("maxItems", len(first)), first.index(False))
        first = first[: first.index(False)]
    if first:
        result["prefixItems"] = first
    else:
        result.pop("prefixItems", None)
    if result.get("items") is False:
        result["maxItems"] = min(schema.get("maxItems", len(first)), len(first))
    return result


def _ends(schema: Any, ending: set[str]) -> bool:
    """`ends`, given that the definitions `ending` end."""
    if not isinstance(schema, dict):
        return bool(schema)
    if "$ref" in schema and schema["$ref"].rpartition("/")[2] not in ending:
        return False
    if "anyOf" in schema and not any(_ends(one, ending) for one in schema["anyOf"]):
        return False
    if "allOf" in schema and not all(_ends(one, ending) for one in schema["allOf"]):
        return False
    types = schema.get("type", ())
    kinds = {types} if isinstance(types, str) else set(types)
    if "enum" in schema or not kinds or kinds - {"object", "array"}:
        return True
    return ("object" in kinds and _object_ends(schema, ending)) or (
        "array" in kinds and _array_ends(schema, ending)
    )


def _object_ends(schema: Schema, ending: set[str]) -> bool:
    properties = schema.get("properties", {})
    return all(_ends(properties.get(name, True), ending) for name in schema.get("required", ()))


def _array_ends(schema: Schema, ending: set[str]) -> bool:
    least, first = schema.get("minItems", 0), schema.get("prefixItems", ())
    further = least <= len(first) or _ends(schema.get("items", True), ending)
    return further and all(_ends(one, ending) for one in first[:least])
