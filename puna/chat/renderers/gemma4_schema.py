"""A tool's JSON Schema in Gemma 4's notation (the `format_parameters` of its chat template)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from puna.chat.declarations import plainly_typed

from .gemma_values import by_name, gemma_text
from .reading import RenderedFunction, as_object, kinds

MARK = '<|"|>'
_STANDARD = ("description", "type", "properties", "required", "nullable")


def declaration(function: RenderedFunction) -> str:
    """`declaration:name{description:…,parameters:{…}}`."""
    schema = function.parameters
    parts: list[str] = []
    if function.properties:
        parts.append("properties:{" + _properties(function.properties) + "}")
    if schema.get("required"):
        parts.append("required:" + gemma_text(schema["required"], MARK))
    if schema.get("type"):
        parts.append(f"type:{_type(schema)}")
    given = parts or schema.get("properties") is not None
    parameters = f",parameters:{{{','.join(parts)}}}" if given else ""
    return f"declaration:{function.name}{{description:{gemma_text(function.description, MARK)}{parameters}}}"


def _properties(properties: dict[str, Any]) -> str:
    return ",".join(
        f"{name}:{{{','.join(_fields(schema))}}}"
        for name, schema in by_name(properties)
        if isinstance(schema, dict)
    )


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    # The template writes nothing of other unions, as Pydantic writes optional lists and objects.
    schema = schema if _type(schema) else plainly_typed(schema)
    kind = schema.get("type")
    if schema.get("description"):
        yield "description:" + gemma_text(schema["description"], MARK)
    if kind == "string" and schema.get("enum"):
        yield "enum:" + gemma_text(schema["enum"], MARK)
    if kind == "array" and as_object(schema.get("items")):
        yield "items:{" + ",".join(_items(schema["items"])) + "}"
    if schema.get("nullable"):
        yield "nullable:true"
    if kind == "object":
        inner = schema.get("properties")
        if not isinstance(inner, dict):
            inner = {key: value for key, value in schema.items() if key not in _STANDARD}
        yield "properties:{" + _properties(inner) + "}"
        if schema.get("required"):
            yield "required:" + gemma_text(schema["required"], MARK)
    if names := _type(schema):
        yield f"type:{names}"


def _items(items: dict[str, Any]) -> Iterator[str]:
    """The schema of an array's items: each key, in order."""
    for key, value in by_name(items):
        if key == "properties":
            yield "properties:{" + _properties(as_object(value)) + "}"
        elif key == "type":
            names = [name.upper() for name in kinds(items)]
            yield "type:" + gemma_text(names[0] if isinstance(value, str) else names, MARK)
        elif value is not None:
            yield f"{key}:{gemma_text(value, MARK, mark_keys=key != 'required')}"


def _type(schema: dict[str, Any]) -> str:
    """The type in capitals; empty if there is none.

    Several types become one string, because the template prints the list.
    """
    names = [name.upper() for name in kinds(schema) or _alternatives(schema)]
    return gemma_text(str(names) if len(names) > 1 else names[0], MARK) if names else ""


def _alternatives(schema: dict[str, Any]) -> list[str]:
    """The types of an `anyOf` of bare types."""
    union = schema.get("anyOf")
    branches = [as_object(branch) for branch in union] if isinstance(union, list) else []
    if any(set(branch) != {"type"} for branch in branches):
        return []
    return list(dict.fromkeys(name for branch in branches for name in kinds(branch)))
