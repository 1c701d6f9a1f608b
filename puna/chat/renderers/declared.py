"""Tools with their keys in the order in which Ollama prints them (api/types.go, Tool and ToolProperty).

Keywords that Ollama drops, such as a default or a bound, come last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .reading import as_object
from .tool_json import by_name

_PROPERTY = ("anyOf", "type", "items", "description", "enum", "properties", "required")


def in_ollama_order(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as Ollama prints it; missing required fields are empty."""
    function = as_object(tool.get("function"))
    parameters = as_object(function.get("parameters"))
    properties = parameters.get("properties")
    return {
        "type": tool.get("type") or "",
        **_kept(tool, ("items",)),
        "function": {
            "name": function.get("name") or "",
            **_kept(function, ("description",)),
            "parameters": {
                "type": parameters.get("type") or "",
                **_kept(parameters, ("$defs", "items", "required")),
                "properties": _properties(properties) if properties is not None else None,
                **_others(parameters, ("type", "$defs", "items", "required", "properties")),
            },
            **_others(function, ("name", "description", "parameters")),
        },
        **_others(tool, ("type", "items", "function")),
    }


def _properties(given: Any) -> dict[str, Any]:
    return {name: _property(as_object(schema)) for name, schema in as_object(given).items()}


def _property(schema: dict[str, Any]) -> dict[str, Any]:
    known = _kept(schema, _PROPERTY)
    if isinstance(known.get("anyOf"), list):
        known["anyOf"] = [_property(as_object(each)) for each in known["anyOf"]]
    kinds = known.get("type")
    if isinstance(kinds, list) and len(kinds) == 1:
        known["type"] = kinds[0]
    if "properties" in known:
        known["properties"] = _properties(known["properties"])
    return known | _others(schema, _PROPERTY)


def _kept(given: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The values of these keys, without those that Ollama omits."""
    kept: dict[str, Any] = {}
    for key in keys:
        value = given.get(key)
        if value is None or (key not in ("items", "$defs", "properties") and value in ("", [])):
            continue
        kept[key] = by_name(value) if key in ("items", "enum") else value
    return kept


def _others(given: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in known}
