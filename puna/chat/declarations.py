"""Tools for Jinja templates that fail for some of them.

Templates such as Gemma 4's and Qwen3-Coder's write each parameter themselves. They read its `type`, `enum`
and OpenAPI's `nullable`, but no references, unions with null or lists of types, as Pydantic and Zod write.
"""

from __future__ import annotations

import json
from typing import Any

from .schema import Schema, inlined, kind_of

Tool = dict[str, Any]


def declared(tool: Tool, *, plain: bool, complete: bool) -> Tool:
    """The tool for a template.

    `plain`: parameters have one type where possible. `complete`: all descriptions and parameters are there.
    """
    if not isinstance(function := tool.get("function"), dict):
        return tool
    if complete:
        given = {key: value for key, value in function.items() if value is not None}
        parameters = {"type": "object", "properties": {}, **_as_schema(given.get("parameters"))}
        function = {"description": "", **given, "parameters": parameters}
    if plain and "parameters" in function:
        function = function | {
            "parameters": plainly_typed(inlined(_as_schema(function["parameters"])), complete)
        }
    return tool | {"function": function}


def plainly_typed(schema: Schema, complete: bool = False) -> Schema:
    """The schema with one `type` where possible, and `nullable` instead of `null`."""
    result: Schema = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            missing = {"description": ""} if complete else {}
            result[key] = {name: missing | _nested(one, complete) for name, one in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            result[key] = _nested(value, complete)
        elif key in ("anyOf", "oneOf") and isinstance(value, list):
            options = [_nested(one, complete) for one in value if _types(one) != ["null"]]
            result |= {key: options} if len(options) != 1 else options[0] | result
        elif key == "const":
            result.setdefault("enum", [value])
        elif value is not None:
            result[key] = value
    types = _types(schema)
    named = [one for one in types if one != "null"]
    if named:
        result["type"] = named if len(named) > 1 else named[0]
        if len(named) < len(types):
            result["nullable"] = True
    return result


def _nested(given: Any, complete: bool) -> Schema:
    result = plainly_typed(_as_schema(given), complete)
    if complete and result.get("type") == "object":
        result.setdefault("additionalProperties", {})
    if "enum" in result and not isinstance(default := result.get("default", ""), str):
        result["default"] = json.dumps(default)  # gpt-oss adds it to text
    return result


def _as_schema(given: Any) -> Schema:
    return given if isinstance(given, dict) else {}


def _types(schema: Any) -> list[str]:
    """The names of the types that a schema allows, without repetitions; empty for any."""
    if not isinstance(schema, dict):
        return []
    given, options = schema.get("type"), schema.get("anyOf") or schema.get("oneOf")
    if isinstance(given, str):
        return [given]
    if isinstance(given, list):
        names = [one for one in given if isinstance(one, str)]
    elif isinstance(options, list):
        names = [name for one in options for name in _types(one)]
    elif isinstance(values := [schema["const"]] if "const" in schema else schema.get("enum"), list):
        names = [kind_of(one) for one in values]
    else:
        names = [name for key, name in (("properties", "object"), ("items", "array")) if key in schema]
    return list(dict.fromkeys(names))
