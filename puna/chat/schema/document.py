"""Normalises JSON Schemas of every draft: checks keywords, updates old spellings, resolves references.

The normal form has those keywords of draft 2020-12 that constrain an instance, with values of the right type.
Every `$ref` in it is `#/$defs/<name>`, a definition of its root.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from puna.chat.patterns import anchored_patterns, sayable
from puna.errors import BadRequest

from .errors import UnsupportedKeyword, invalid
from .keywords import LISTS, MAPS, SINGLE, TYPES, Schema
from .references import References

_SIZES = tuple(
    f"{end}{what}" for end in ("min", "max") for what in ("Contains", "Items", "Length", "Properties")
)
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

_LARGEST_SIZE = 10_000
"""Longer lengths in a tool's schema are ignored."""


class SchemaDocument:
    """A normalised schema `root`, and the targets of its references.

    `lenient`, for tools, drops invalid keywords, because a call matters more.
    """

    def __init__(self, schema: Any, *, lenient: bool = False) -> None:
        """Raises BadRequest naming the invalid keyword."""
        self._references = References(schema, lenient=lenient)
        self._lenient = lenient
        self._names: dict[int, str] = {}
        self.targets: dict[str, Any] = {}
        self.root = self._read(schema)
        if lenient:
            endless = [name for name in self.targets if final_target(name, self.targets) is None]
            self.targets |= dict.fromkeys(endless, True)

    def whole(self) -> Any:
        """The root with the targets of its references."""
        definitions = {name.rpartition("/")[2]: one for name, one in self.targets.items()}
        if isinstance(self.root, bool) or not definitions:
            return self.root
        return {**self.root, "$defs": definitions}

    def _read(self, schema: Any) -> Any:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise invalid(f"a schema must be an object or a boolean, not {schema!r:.40}")
        result: Schema = {}
        for key, value in schema.items():
            try:
                self._add(result, key, value, schema)
            except BadRequest:
                if not self._lenient:
                    raise
        if self._lenient and schema.get("nullable") is True and "type" in result:
            # OpenAPI 3.0's spelling.
            types = result["type"]
            result["type"] = [*([types] if isinstance(types, str) else types), "null"]
        for bound in ("Minimum", "Maximum"):
            # In draft 4, a boolean makes the other bound exclusive.
            if isinstance(exclusive := result.get(f"exclusive{bound}"), bool):
                del result[f"exclusive{bound}"]
                if exclusive and bound.lower() in result:
                    result[f"exclusive{bound}"] = result[bound.lower()]
        return result

    def _add(self, result: Schema, key: str, value: Any, schema: Schema) -> None:
        """Normalise one keyword of `schema` into `result`."""
        if key in _REFERENCES:
            _check(key, value, isinstance(value, str), "a text")
            reference = "#" if key == "$recursiveRef" else value
            result.setdefault("$ref", self._named(reference, schema, key))
        elif key in MAPS:
            _check(key, value, isinstance(value, dict), "an object")
            result[key] = {
                name: self._property(one)
                for name, one in value.items()
                if not (self._lenient and key == "patternProperties" and not sayable(name))
            }
        elif key == "prefixItems" and isinstance(value, dict):
            # llama.cpp accepts one schema for all items here.
            result.setdefault("items", self._read(value))
        elif key in LISTS or (key == "items" and isinstance(value, list)):
            filled = isinstance(value, list) and (bool(value) or key == "items")
            _check(key, value, filled, "a list of schemas")
            kept = "prefixItems" if key == "items" else key
            result[kept] = [*result.get(kept, ()), *map(self._read, value)]
        elif key == "additionalItems":
            if isinstance(schema.get("items"), list):
                result["items"] = self._read(value)
        elif key == "dependencies":
            self._dependencies(result, _check(key, value, isinstance(value, dict), "an object"))
        elif key in SINGLE:
            result[key] = self._read(value)
        elif key == "pattern" and self._lenient:
            self._pattern(result, value)
        elif key in _CHECKED:
            value = _without_mistakes(key, value) if self._lenient else value
            holds, wanted = _CHECKED[key]
            _check(key, value, holds(value), wanted)
            result[key] = int(value) if key in _SIZES else value

    def _property(self, schema: Any) -> Any:
        if not self._lenient or isinstance(schema, (dict, bool)):
            return self._read(schema)
        return {"type": "string"} if schema is None else True

    def _dependencies(self, result: Schema, given: Schema) -> None:
        for name, one in given.items():
            if isinstance(one, list):
                wanted = "an object of schemas or lists of names"
                names = _check("dependencies", one, _are_texts(one), wanted)
                result.setdefault("dependentRequired", {})[name] = names
            else:
                result.setdefault("dependentSchemas", {})[name] = self._read(one)

    def _pattern(self, result: Schema, pattern: Any) -> None:
        """A supported pattern; its lookaheads become further constraints."""
        if isinstance(pattern, str) and sayable(pattern):
            *others, result["pattern"] = anchored_patterns(pattern)
            if others:
                result["allOf"] = [*result.get("allOf", ()), *({"pattern": one} for one in others)]

    def _named(self, reference: str, within: Schema, key: str) -> str:
        if key == "$dynamicRef" and self._references.ambiguous(reference):
            raise UnsupportedKeyword("$dynamicRef", f'several places have the name "{reference}"')
        found, target = self._references.target(reference, within)
        if not found:
            raise invalid(f'{key} "{reference}" leads nowhere')
        name = self._names.get(id(target))
        if name is None:
            name = self._names[id(target)] = f"#/$defs/{len(self._names)}"
            self.targets[name] = self._read(target)
        return name


def final_target(reference: str, targets: dict[str, Any]) -> Any:
    """The target of a reference, through references to references; None for a cycle."""
    passed: set[str] = set()
    target: Any = {"$ref": reference}
    while isinstance(target, dict) and target.keys() == {"$ref"}:
        if target["$ref"] in passed:
            return None
        passed.add(target["$ref"])
        target = targets[target["$ref"]]
    return target


def _check(key: str, value: Any, right: bool, wanted: str) -> Any:
    if not right:
        raise invalid(f"{key} must be {wanted}, not {value!r:.40}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_types(value: Any) -> bool:
    return (
        value in TYPES
        if isinstance(value, str)
        else _are_texts(value) and bool(value) and TYPES.issuperset(value)
    )


_CHECKED: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_SIZES, (_is_size, "a whole number from 0 on")),
    **dict.fromkeys(_NUMBERS, (_is_number, "a number")),
    **dict.fromkeys(
        ("exclusiveMinimum", "exclusiveMaximum"),
        (lambda value: isinstance(value, bool) or _is_number(value), "a number"),
    ),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "type": (_are_types, f"one or several of {', '.join(sorted(TYPES))}"),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "const": (lambda value: True, ""),
    "required": (_are_texts, "a list of names"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_are_texts, value.values())),
        "an object of lists of names",
    ),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    **dict.fromkeys(("pattern", "format"), (lambda value: isinstance(value, str), "a text")),
}
"""The type of each keyword's value."""


def _without_mistakes(key: str, value: Any) -> Any:
    """A tool's value of a keyword, corrected if the mistake is obvious; None if it means nothing."""
    if key == "type":
        types = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        kept = [one.lower() for one in types if isinstance(one, str) and one.lower() in TYPES]
        return kept[0] if kept and isinstance(value, str) else kept
    if key in _SIZES and _is_size(value):
        return value if value <= _LARGEST_SIZE else None
    return value or None if key == "enum" else value
