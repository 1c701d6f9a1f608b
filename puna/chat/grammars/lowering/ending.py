"""Whether a value that fits a schema can come to an end: one that must hold itself without end cannot."""

from __future__ import annotations

from typing import Any

from puna.chat.grammars.keywords import Schema


def ends(schema: Schema) -> bool:
    """Whether some finite value may fit a lowered schema."""
    definitions: dict[str, Any] = schema.get("$defs", {})
    ending: set[str] = set()
    while found := [name for name, one in definitions.items() if name not in ending and _ends(one, ending)]:
        ending.update(found)
    return _ends(schema, ending)


def _ends(schema: Any, ending: set[str]) -> bool:
    """The same, when the definitions `ending` are known to end."""
    if not isinstance(schema, dict):
        return bool(schema)
    if "$ref" in schema and schema["$ref"].rpartition("/")[2] not in ending:
        return False
    if "anyOf" in schema and not any(_ends(one, ending) for one in schema["anyOf"]):
        return False
    if "allOf" in schema and not all(_ends(one, ending) for one in schema["allOf"]):
        return False
    said = schema.get("type", ())
    kinds = {said} if isinstance(said, str) else set(said)
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
