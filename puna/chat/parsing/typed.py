"""The value that text is by a JSON Schema: what parsers read by, and what grammars write for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from .values import json_value

Types = frozenset[str]
ANY: Types = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})

_DEEPEST = 16
_OPTIONS = ("anyOf", "oneOf")
_CONDITIONS = ("then", "else")


def typed(schema: Any, root: dict[str, Any], text: str) -> Any:
    """The value that `text` is by `schema`, a part of `root`; text if none fits.

    A string's text is the string. Where a schema allows more, text that is JSON of a type it allows is that
    value: so is any JSON where it says no type.
    Sources: Ollama model/parsers/qwen3coder.go, parseValue; llama.cpp common/json-schema-to-grammar.cpp,
    resolves_to_string.
    """
    types, word = kinds(schema, root), text.strip()
    constants = list(_constants(schema, root))
    for one in (text, word):
        if one in constants:
            return one
    if types <= {"string"} and not constants:
        return text
    if word.lower() == "null":
        return None
    if "boolean" in types and word.lower() in ("true", "false"):
        return word.lower() == "true"
    with suppress(ValueError, RecursionError):
        value = json_value(word)
        if types & types_of(value):
            return value
    return text


def kinds(schema: Any, root: dict[str, Any]) -> Types:
    """The types that a schema allows: all when it does not say."""
    return _kinds(schema, root, 0)


def types_of(value: Any) -> Types:
    """The types a value is of: a whole number is an integer and a number, however it is written."""
    if isinstance(value, bool):
        return frozenset({"boolean"})
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return frozenset({"integer", "number"})
    names = {float: "number", dict: "object", list: "array", str: "string"}
    return frozenset({names.get(type(value), "null")})


def parameter(schema: Any, name: str, root: dict[str, Any], depth: int = 0) -> Any:
    """The schema of an object's property, wherever an object's `schema` says it; None when it does not."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    declared = _mapping(schema, "properties")
    found = [declared[name]] if name in declared else []
    if not found:
        found = [
            one for pattern, one in _mapping(schema, "patternProperties").items() if _fits(pattern, name)
        ]

    def within(part: Any) -> Any:
        return parameter(part, name, root, depth + 1)

    found += [one for part in _all_of(schema, root) if (one := within(part)) is not None]
    for options in _any_of(schema):
        ways = [one for part in options if (one := within(part)) is not None]
        found += [{"anyOf": ways}] if ways else []
    further = schema.get("additionalProperties")
    if not found and isinstance(further, dict) and further:
        return further
    return found[0] if len(found) == 1 else {"allOf": found} if found else None


def parameters(schema: Any, root: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """The properties that an object's schema names; some may come twice."""
    if isinstance(schema, dict) and depth <= _DEEPEST:
        yield from _mapping(schema, "properties")
        for part in [*_all_of(schema, root), *(one for options in _any_of(schema) for one in options)]:
            yield from parameters(part, root, depth + 1)


def _kinds(schema: Any, root: dict[str, Any], depth: int) -> Types:
    if schema is False:
        return frozenset()
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return ANY
    found = _types_in(schema.get("type"))
    if (values := _named(schema)) is not None:
        found &= frozenset().union(*map(types_of, values))
    for part in _all_of(schema, root):
        found &= _kinds(part, root, depth + 1)
    for key in _OPTIONS:
        if isinstance(options := schema.get(key), list) and options:
            found &= frozenset().union(*(_kinds(one, root, depth + 1) for one in options))
    return found


def _types_in(given: Any) -> Types:
    names = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    types = {one.lower() for one in names if isinstance(one, str)}
    return frozenset(types | ({"integer"} if "number" in types else set())) & ANY or ANY


def _constants(schema: Any, root: dict[str, Any], depth: int = 0) -> Iterator[Any]:
    """The values that a schema names."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return
    yield from _named(schema) or ()
    for part in [*_all_of(schema, root), *(one for options in _any_of(schema) for one in options)]:
        yield from _constants(part, root, depth + 1)


def _named(schema: dict[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return values if isinstance(values := schema.get("enum"), list) else None


def _all_of(schema: dict[str, Any], root: dict[str, Any]) -> list[Any]:
    """What holds beside a schema's own keywords."""
    parts = list(given) if isinstance(given := schema.get("allOf"), list) else []
    if isinstance(reference := schema.get("$ref"), str) and (target := pointed(root, reference)) is not None:
        parts.append(target)
    return parts


def _any_of(schema: dict[str, Any]) -> list[list[Any]]:
    """Those of which one holds."""
    found = [given for key in _OPTIONS if isinstance(given := schema.get(key), list)]
    return [*found, [schema[key] for key in _CONDITIONS if key in schema]]


def pointed(root: Any, reference: str) -> Any:
    """What a reference within the document leads to, or None: by a pointer, an anchor or an id."""
    uri, _, fragment = reference.partition("#")
    fragment = unquote(fragment)
    target = _called(root, "$id", uri) if uri else root
    if fragment and not fragment.startswith("/"):
        return _called(target, "$anchor", fragment)
    for step in fragment.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and step.isdecimal() and int(step) < len(target):
            target = target[int(step)]
        else:
            target = target.get(step) if isinstance(target, dict) else None
    return target


def _called(schema: Any, key: str, name: str) -> Any:
    """The part of a schema whose `key` is `name`, or None."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and schema.get(key) == name:
        return schema
    return next((found for part in parts if (found := _called(part, key, name)) is not None), None)


def _mapping(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return given if isinstance(given := schema.get(key), dict) else {}


def _fits(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False
