"""A request's tools, for grammars that constrain their arguments."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from puna.chat.schema import Schema, SchemaDocument, UnsupportedKeyword, rebuild
from puna.errors import BadRequest

from .lowering import lower

_SAYING = {"allOf", "anyOf", "oneOf", "$ref", "not", "if", "patternProperties", "required"}
"""Keywords that may describe an object without `properties`."""


class ToolFunction(NamedTuple):
    """A tool: its name and the schema of its arguments, ready for a grammar."""

    name: str
    parameters: Schema


def functions(tools: list[dict[str, Any]]) -> list[ToolFunction]:
    """The tools as functions. Raises BadRequest for parameters that are not an object's schema."""
    found: dict[str, ToolFunction] = {}
    for tool in tools:
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str) or not name:
            continue
        given = function.get("parameters")
        what = f'parameters of the function "{name}"'
        if given is not None and not isinstance(given, dict):
            raise BadRequest(f"invalid {what}: expected a JSON schema of an object", "tools")
        try:
            found[name] = ToolFunction(name, _arguments(given or {}, what))
        except RecursionError:
            raise BadRequest(f"invalid {what}: it is nested too deeply", "tools") from None
    return list(found.values())


def _arguments(given: Schema, what: str) -> Schema:
    if not isinstance(given.get("properties") or {}, dict):
        raise BadRequest(f"invalid {what}: its properties must be an object", "tools")
    schema = SchemaDocument(given, lenient=True).whole()
    kind = schema.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise BadRequest(f'invalid {what}: its type must be "object"', "tools")
    schema["type"] = "object"
    if not _SAYING & schema.keys() and not schema.get("properties"):
        schema.setdefault("additionalProperties", False)
    with suppress(BadRequest):
        return lower_leniently(schema)
    return lower_leniently(_by_property(schema))


def _by_property(schema: Schema) -> Schema:
    """An object's schema with only the properties that can be lowered, without keywords that combine them."""
    definitions = schema.get("$defs", {})

    def kept(one: Any) -> Any:
        with suppress(BadRequest):
            lower_leniently({"allOf": [one], "$defs": definitions})
            return one
        return True

    properties = {name: kept(one) for name, one in schema.get("properties", {}).items()}
    required = [name for name in schema.get("required", ()) if name in properties]
    return {"type": "object", "properties": properties, "required": required, "$defs": definitions}


def lower_leniently(schema: Schema) -> Any:
    """A normalised schema, lowered without unsupported keywords. Raises BadRequest."""
    while True:
        try:
            return lower(schema)
        except UnsupportedKeyword as fault:
            less = _without(schema, fault.keyword)
            if less == schema:
                raise
            schema = less


def _without(schema: Any, keyword: str) -> Any:
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != keyword}
    return rebuild(kept, lambda one: _without(one, keyword))
