"""JSON Schemas as they are made into grammars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from puna.chat.parsing.typed import pointed
from puna.errors import BadRequest

from .keywords import TYPES, Schema
from .lowering import UnsupportedKeyword, lowered
from .patterns import anchored, sayable

_COMBINATORS = {"allOf", "anyOf", "oneOf", "$ref", "not", "if", "patternProperties"}
_DEFINITIONS = ("$defs", "definitions")
_OF_SCHEMAS = ("properties", "patternProperties", *_DEFINITIONS)
_LISTED = ("anyOf", "prefixItems")

_CHOICES = ("anyOf", "oneOf", "allOf")
_MOST_WAYS = 24
"""Ways to fit an object that are written one by one where it has properties of its own, too."""

_DEEPEST = 16

_DATA = ("enum", "const", "default", "examples", "required")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 10_000 and value == int(value)


def _is_schema(value: Any) -> bool:
    return isinstance(value, (dict, bool))


def _are_schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


_KINDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        _OF_SCHEMAS, lambda value: isinstance(value, dict) and all(map(_is_schema, value.values()))
    ),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _are_schemas),
    **dict.fromkeys(("items", "additionalProperties", "not"), _is_schema),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_size),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _is_number),
    **dict.fromkeys(("$ref", "format"), lambda value: isinstance(value, str)),
    "pattern": lambda value: isinstance(value, str) and sayable(value),
    "enum": lambda value: isinstance(value, list) and bool(value),
    "required": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}
"""What a keyword's value must be."""


class ToolFunction(NamedTuple):
    """A tool: its name and the schema of its arguments, ready for a grammar."""

    name: str
    parameters: Schema


def functions(tools: list[dict[str, Any]]) -> list[ToolFunction]:
    """Raises BadRequest, naming the field, where a tool's parameters are no schema of an object."""
    found: dict[str, ToolFunction] = {}
    for number, tool in enumerate(tools):
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str) or not name:
            continue
        given = function.get("parameters")
        field = f"tools[{number}].function.parameters"
        if given is not None and not isinstance(given, dict):
            raise BadRequest(f"invalid {field}: expected a JSON schema of an object", "tools")
        try:
            found[name] = ToolFunction(name, _arguments(given or {}, field))
        except RecursionError:
            raise BadRequest(f"invalid {field}: it is nested too deeply", "tools") from None
    return list(found.values())


def _arguments(given: Schema, field: str) -> Schema:
    if not isinstance(given.get("properties") or {}, dict):
        raise BadRequest(f"invalid {field}: its properties must be an object", "tools")
    schema = _workable(given, given)
    kind = schema.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise BadRequest(f'invalid {field}: its type must be "object"', "tools")
    schema = {**closed(schema), "type": "object"}
    if not _COMBINATORS & schema.keys() and not schema.get("properties"):
        schema.setdefault("additionalProperties", False)
    with suppress(BadRequest):
        return leniently_lowered(schema)
    return schema


def leniently_lowered(schema: Schema) -> Any:
    """A tool's schema, lowered without the keywords that no grammar keeps. Raises BadRequest."""
    while True:
        try:
            return lowered(schema)
        except UnsupportedKeyword as fault:
            less = _without(schema, fault.keyword)
            if less == schema:
                raise
            schema = less


def _without(schema: Any, keyword: str) -> Any:
    if isinstance(schema, list):
        return [_without(one, keyword) for one in schema]
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in schema.items():
        if key in _OF_SCHEMAS and isinstance(value, dict):
            kept = {name: _without(one, keyword) for name, one in value.items()}
            result |= {} if key == keyword else {key: kept}
        elif key != keyword:
            result[key] = value if key in _DATA else _without(value, keyword)
    return result


def closed(schema: Any) -> Any:
    """The schema with no properties beyond those it names, where it does not say otherwise.

    JSON Schema allows any further property; a small model would invent them without end, and Ollama's
    grammars do not let it. Every answer to the closed schema fits the open one. Schemas that combine
    others (allOf and its kin) stay open, for closing a part would contradict the whole.
    """
    combined = set(_combined(schema))

    def close(part: Any, path: str) -> Any:
        if not isinstance(part, dict) or path in combined:
            return part
        result = dict(part)
        for key, value in part.items():
            at = f"{path}/{key}"
            if key in _OF_SCHEMAS and isinstance(value, dict):
                result[key] = {name: close(one, f"{at}/{name}") for name, one in value.items()}
            elif isinstance(value, list) and (key in _LISTED or (key == "oneOf" and "discriminator" in part)):
                if "properties" not in part:
                    result[key] = [close(one, at) for one in value]
            elif key in ("items", "additionalProperties"):
                result[key] = close(value, at)
        names = part.get("properties")
        if isinstance(names, dict) and names and not _COMBINATORS & part.keys():
            result.setdefault("additionalProperties", False)
        return result

    return close(schema, "#")


def _combined(schema: Any, *, within: bool = False) -> Iterator[str]:
    """The definitions that a schema lays over others, as references."""
    if isinstance(schema, list):
        for one in schema:
            yield from _combined(one, within=within)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and (within or "properties" in schema or "allOf" in schema):
            yield reference
        for key, value in schema.items():
            exclusive = key == "oneOf" and "discriminator" not in schema
            beside = key == "anyOf" and "properties" in schema
            yield from _combined(value, within=key in ("allOf", "not", "if") or exclusive or beside)


def _workable(schema: Any, root: Schema) -> Any:
    """A tool's schema without what is no JSON Schema: a call is worth more than a keyword."""
    if isinstance(schema, list):
        return [_workable(one, root) for one in schema]
    if not isinstance(schema, dict):
        return schema
    result: Schema = {}
    for key, value in schema.items():
        if key in _KINDS and not _KINDS[key](value):
            continue
        if key == "$ref" and not _leads_somewhere(root, value):
            continue
        if key == "patternProperties":
            result[key] = {name: _workable(one, root) for name, one in value.items() if sayable(name)}
        elif key in _OF_SCHEMAS:
            result[key] = {name: _workable(one, root) for name, one in value.items()}
        elif key == "pattern":
            *others, result[key] = anchored(value)
            if others:
                result["allOf"] = [*result.get("allOf", ()), *({"pattern": one} for one in others)]
        elif key == "allOf":
            result[key] = [*result.get(key, ()), *_workable(value, root)]
        elif key == "type":
            if kept := _types(value):
                result[key] = kept
        else:
            result[key] = value if key in _DATA else _workable(value, root)
    return result


def _types(given: Any) -> Any:
    if isinstance(given, str):
        return given.lower() if given.lower() in TYPES else None
    if isinstance(given, list):
        return [one for one in given if isinstance(one, str) and one in TYPES]
    return None


def resolved(schema: Any, root: Schema) -> Any:
    """What a schema that only refers to another refers to, or itself."""
    for _ in range(16):
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            break
        target = pointed(root, schema["$ref"])
        if target is None or any(key in schema for key in ("properties", "allOf", "enum")):
            break
        schema = target
    return schema


def ways(schema: Any, root: Schema, depth: int = 0) -> list[Schema]:
    """The ways in which an object may be, each its properties and those of them that it must have.

    Of choices that are too many none is kept.
    """
    schema = resolved(schema, root)
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return [{}] if schema is True else []
    found = [{key: one for key, one in schema.items() if key not in _CHOICES}]
    parts = [schema[key] for key in ("anyOf", "oneOf") if key in schema]
    for options in [*parts, *([one] for one in schema.get("allOf", ()))]:
        chosen = [way for one in options for way in ways(one, root, depth + 1)]
        if chosen and (len(found) * len(chosen) <= _MOST_WAYS or not schema.get("properties")):
            found = [both for one in found for way in chosen if (both := _both(one, way))]
    return found


def _both(one: Schema, other: Schema) -> Schema | None:
    """An object that is both, or None where it lacks what it must have."""
    lacking = {name: False for name, kept in other.get("properties", {}).items() if kept is False}
    properties = {**other.get("properties", {}), **one.get("properties", {}), **lacking}
    required = list(dict.fromkeys([*one.get("required", ()), *other.get("required", ())]))
    if any(properties.get(name) is False for name in required):
        return None
    return {**other, **one, "properties": properties, "required": required}


def _leads_somewhere(root: Schema, reference: str) -> bool:
    """Whether there is a schema at the end of a reference, and not only itself again."""
    passed: set[str] = set()
    while reference not in passed:
        passed.add(reference)
        target = pointed(root, reference)
        if not isinstance(target, dict) or target.keys() != {"$ref"}:
            return target is not None
        reference = target["$ref"]
    return False


def standing_alone(schema: Any, root: Schema) -> Any:
    """A part of `root` as a schema of its own, whose references still lead somewhere."""
    if "$ref" not in str(schema):
        return schema

    def moved(reference: str) -> str:
        return f"#/$defs/root{reference[1:]}" if reference.startswith("#") else reference

    return {**_renamed(schema, moved), "$defs": {"root": _renamed(root, moved)}}


def _renamed(schema: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(schema, list):
        return [_renamed(one, rename) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: rename(value) if key == "$ref" and isinstance(value, str) else _renamed(value, rename)
        for key, value in schema.items()
    }
