"""Values as models write them: JSON, Python's literals, and text that a tool's schema gives a type."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from .source import Malformed

_LONE = re.compile(r"\\u[dD][89a-fA-F]")
_INT64 = 1 << 63


def json_value(text: str) -> Any:
    """The value of JSON text; line breaks in strings are let pass. Raises ValueError, RecursionError."""
    value = _DECODER.decode(text)
    if _LONE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be sent on
    return value


def json_object(text: str) -> dict[str, Any]:
    """The value of JSON text that must be an object."""
    value = json_value(text)
    if not isinstance(value, dict):
        raise Malformed
    return value


def _integer(digits: str) -> int | float:
    # Python refuses to read integers of thousands of digits.
    number = int(digits) if len(digits) < 21 else _INT64 * 2
    return number if -_INT64 <= number < 2 * _INT64 else _finite(digits)


def _finite(text: str) -> float:
    """The number; one too large for a float is the largest there is."""
    return max(-sys.float_info.max, min(sys.float_info.max, float(text)))


def _refuse(constant: str) -> None:
    raise Malformed(constant)


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer, parse_float=_finite, parse_constant=_refuse)

_SCALARS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


def scalar(text: str) -> Any:
    """A bare word: a number, a truth value, nothing, or else the text itself."""
    if text in _SCALARS:
        return _SCALARS[text]
    try:
        return json_value(text)
    except ValueError:
        return text


_Types = frozenset[str]


class Tools:
    """What parsing asks of the tools in a request: their names and the types of their parameters."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        functions = [tool["function"] for tool in tools if isinstance(tool.get("function"), dict)]
        self._schemas = {
            function["name"]: parameters if isinstance(parameters := function.get("parameters"), dict) else {}
            for function in functions
            if isinstance(function.get("name"), str) and function["name"]
        }
        self.names = tuple(self._schemas)

    def required(self, tool: str) -> set[str]:
        required = self._schemas.get(tool, {}).get("required")
        return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()

    def typed(self, tool: str, parameter: str, text: str) -> Any:
        """The value that `text` is by the tool's schema, the most particular type first; text if none fits.

        An unknown parameter is text (Ollama model/parsers/qwen3coder.go, parseTypedToolValue).
        """
        root = self._schemas.get(tool, {})
        properties = root.get("properties")
        schema = properties.get(parameter) if isinstance(properties, dict) else None
        types = _types(schema, root, depth=0)
        word = text.strip()
        if types == {"string"}:
            return text
        if word.lower() == "null":
            return None
        if "boolean" in types and word.lower() in ("true", "false"):
            return word.lower() == "true"
        if types & {"integer", "number", "array", "object"}:
            try:
                value = json_value(word)
            except (ValueError, RecursionError):
                return text
            if types & _types_of(value):
                return value
        return text


def _types_of(value: Any) -> _Types:
    """The types a value is of: a whole number is an integer and a number, however it is written."""
    if isinstance(value, bool) or not (
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    ):
        return frozenset({_type_of(value)})
    return frozenset({"integer", "number"})


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return {dict: "object", list: "array", str: "string"}.get(type(value), "null")


def _types(schema: Any, root: dict[str, Any], *, depth: int) -> _Types:
    """The JSON types a schema allows; empty when it does not say."""
    if not isinstance(schema, dict) or depth > 8:
        return frozenset()
    said = schema.get("type")
    if isinstance(said, str):
        return frozenset({said})
    if isinstance(said, list):
        return frozenset(one for one in said if isinstance(one, str))
    found: _Types = frozenset()
    for key in ("anyOf", "oneOf", "allOf"):
        for option in schema[key] if isinstance(schema.get(key), list) else ():
            found |= _types(option, root, depth=depth + 1)
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/"):
        target: Any = root
        for step in reference[2:].split("/"):
            target = target.get(step) if isinstance(target, dict) else None
        found |= _types(target, root, depth=depth + 1)
    if isinstance(values := schema.get("enum"), list):
        found |= {_type_of(value) for value in values}
    if "const" in schema:
        found |= {_type_of(schema["const"])}
    return found
