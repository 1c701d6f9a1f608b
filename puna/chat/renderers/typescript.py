"""JSON Schemas as TypeScript types, as OpenAI's harmony format declares functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .reading import RenderedFunction, as_object, kinds, texts
from .tool_json import spaced

_NAMES = {"integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_LONGEST_ITEM = 50


def namespace(name: str, functions: Iterable[RenderedFunction]) -> str:
    """`namespace name { … }` with a type for each function."""
    declared = "".join(map(_declaration, functions))
    return f"namespace {name} {{\n\n{declared}}} // namespace {name}"


def _declaration(function: RenderedFunction) -> str:
    properties = "".join(_properties(function.parameters))
    taken = f"(_: {{\n{properties}}})" if properties else "()"
    return f"// {function.description}\ntype {function.name} = {taken} => any;\n\n"


def _properties(schema: dict[str, Any]) -> Iterator[str]:
    required = texts(schema.get("required"))
    for name, given in as_object(schema.get("properties")).items():
        each = as_object(given)
        if each.get("description"):
            yield f"// {each['description']}\n"
        yield f"{name}{'' if name in required else '?'}: {typescript(each)},{_default(each)}\n"


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return ""
    value = schema["default"]
    return f" // default: {value if schema.get('enum') and isinstance(value, str) else spaced(value)}"


def typescript(schema: dict[str, Any]) -> str:
    """The type: `string`, `"a" | "b"`, `number[]`, `{ … }`, or `any` if there is no equivalent."""
    union = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(union, list):
        types = [typescript(as_object(each)) for each in union]
    else:
        types = [_named(kind, schema) for kind in kinds(schema)] or ["any"]
    if schema.get("nullable"):
        types.append("null")
    return " | ".join(dict.fromkeys(types))


def _named(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array":
        return _array(as_object(schema.get("items")))
    if kind == "string":
        return " | ".join(f'"{each}"' for each in texts(schema.get("enum"))) or kind
    if kind == "object":
        properties = "".join(_properties(schema))
        return f"{{\n{properties}}}" if properties else kind
    return _NAMES.get(kind, "any")


def _array(items: dict[str, Any]) -> str:
    inner = typescript(items) if items else "any"
    if len(inner) > _LONGEST_ITEM:
        return "any[]"
    return f"({inner})[]" if " | " in inner else f"{inner}[]"
