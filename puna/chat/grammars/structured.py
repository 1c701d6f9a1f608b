"""Arguments in notations with JSON's data types: objects, lists, strings and numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from puna.chat.schema import Schema, object_alternatives, resolve, targets_of

from .functions import ToolFunction
from .objects import by_schema
from .order import in_any_order
from .rules import Rules, literal, literals

_OPEN_SCHEMAS = ({}, True)


@dataclass(frozen=True)
class Keys:
    """The notation of keys."""

    written: Callable[[str], tuple[str, ...]]
    """The notations of a key."""
    writable: str
    """A regular expression of the keys that the notation can write."""
    free: Callable[[Rules, Schema], str]
    """Any key that fits a string's schema."""


@dataclass(frozen=True)
class ValueSyntax:
    """A notation's differences from JSON, as Lark."""

    string: Callable[[Rules, Schema], str]
    """A string by its schema."""
    constant: Callable[[Rules, str], str]
    """A given string."""
    keys: Keys
    """The keys of objects."""
    words: dict[str, str]
    """The notations of "true", "false" and "null"."""
    space: str = ""
    """The white space within brackets and around separators."""


class Values:
    """Writes values by the schemas of one function's parameters."""

    def __init__(self, rules: Rules, function: ToolFunction, syntax: ValueSyntax) -> None:
        self._rules = rules
        self._root = function.parameters
        self._targets = targets_of(self._root)
        self._syntax = syntax
        self._comma = f'{syntax.space} "," {syntax.space}'.strip()
        self._colon = f'{syntax.space} ":" {syntax.space}'.strip()
        self._referred: dict[str, str] = {}

    def keywords(self, colon: str, keys: Keys) -> str:
        """The function's arguments without braces."""
        alternatives = object_alternatives(self._root, self._targets)
        return self._rules.any_of("keywords", [self._pairs(one, keys, colon) for one in alternatives])

    def object(self) -> str:
        """The function's arguments."""
        return self._object(self._root)

    def value(self, schema: Any) -> str:
        if isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
            return self._reference(reference, schema)
        if not isinstance(schema, dict) or schema in _OPEN_SCHEMAS:
            return self._anything()
        for key in ("enum", "const"):
            if key in schema:
                values = schema[key] if key == "enum" else [schema[key]]
                return self._rules.any_of("constant", map(self._constant, values))
        for key in ("anyOf", "oneOf"):
            if isinstance(options := schema.get(key), list) and options:
                return self._rules.any_of("either", map(self.value, options))
        types = schema.get("type")
        kinds = [types] if isinstance(types, str) else types or (["object"] if "properties" in schema else [])
        if not kinds:
            return self._anything()
        return self._rules.any_of("value", [self._of_kind(kind, schema) for kind in kinds])

    def _reference(self, reference: str, schema: Schema) -> str:
        if reference not in self._referred:
            target = resolve({"$ref": reference}, self._targets)
            if isinstance(target, dict) and "$ref" in target:
                return self._anything()
            self._referred[reference] = self._rules.reserve("referred")
            self._rules.define(self._referred[reference], self.value(target))
        return self._referred[reference]

    def _of_kind(self, kind: str, schema: Schema) -> str:
        words = self._syntax.words
        if kind == "string":
            return self._syntax.string(self._rules, schema)
        if kind == "boolean":
            return f"({words['true']} | {words['false']})"
        if kind == "null":
            return words["null"]
        if kind == "array":
            return self._rules.rule("list", self._list(schema))
        if kind == "object":
            return self._rules.rule("object", self._object(schema))
        bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
        limited = {key: schema[key] for key in bounds if key in schema}
        return by_schema(self._rules, {"type": kind, **limited})

    def _list(self, schema: Schema) -> str:
        least, most = schema.get("minItems"), schema.get("maxItems")
        least = least if isinstance(least, int) else 0
        if first := schema.get("prefixItems"):
            return self._tuple(first, schema.get("items", {}), least, most)
        item = self.value(schema.get("items", {}))
        if most == 0:
            return self._bracketed("[]", "")
        if most == 1:
            return self._bracketed("[]", item if least else f"({item})?")
        further = "*"
        if least > 1 or isinstance(most, int):
            further = f"{{{max(least - 1, 0)},{most - 1 if isinstance(most, int) else ''}}}"
        items = f"{item} ({self._comma} {item}){further}"
        return self._bracketed("[]", items if least else f"({items})?")

    def _tuple(self, first: list[Any], items: Any, least: int, most: int | None) -> str:
        """A list whose first items have their own schemas; written from the last item to the first."""
        end = ""
        if items is not False and (most is None or most > len(first)):
            counts = f"{{{max(least - len(first), 0)},{'' if most is None else most - len(first)}}}"
            end = f"({self._comma} {self.value(items)}){counts}"
        for place in range(len(first) - 1, -1, -1):
            if most is not None and place >= most:
                continue
            comma = f"{self._comma} " if place else ""
            body = f"{comma}{self.value(first[place])} {end}"
            end = body if place < least else f"({body})?"
        return self._bracketed("[]", end)

    def _object(self, schema: Schema) -> str:
        bodies = [
            self._bracketed("{}", self._pairs(one, self._syntax.keys, self._colon))
            for one in object_alternatives(schema, self._targets)
        ]
        return self._rules.any_of("object", bodies)

    def _pairs(self, schema: Schema, keys: Keys, colon: str) -> str:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        if not properties:
            patterns = schema.get("patternProperties") or {}
            free = [(keys.free(self._rules, {"pattern": name}), one) for name, one in patterns.items()]
            if not free and (further := schema.get("additionalProperties", {})) is not False:
                free = [(keys.free(self._rules, {}), further)]
            bodies = [f"{name} {colon} {self.value(one)}" for name, one in free if one is not False]
            return self._listed(self._rules.any_of("pair", bodies)) if bodies else ""
        written = [
            (
                self._rules.rule("pair", f"{literals(keys.written(name))} {colon} {self.value(one)}"),
                name in required,
            )
            for name, one in properties.items()
            if one is not False and re.fullmatch(keys.writable, name)
        ]
        return in_any_order(self._rules, written, self._comma)

    def _listed(self, one: str) -> str:
        return f"({one} ({self._comma} {one})*)?"

    def _bracketed(self, brackets: str, body: str) -> str:
        space = self._syntax.space
        return " ".join([literal(brackets[0]), space, body, space, literal(brackets[1])])

    def _constant(self, value: Any) -> str:
        comma, syntax = self._comma, self._syntax
        if isinstance(value, str):
            return syntax.constant(self._rules, value)
        if isinstance(value, list):
            return f'"[" {f" {comma} ".join(map(self._constant, value))} "]"'
        if isinstance(value, dict):
            pairs = [
                f"{literals(syntax.keys.written(name))} {self._colon} {self._constant(one)}"
                for name, one in value.items()
            ]
            return f'"{{" {f" {comma} ".join(pairs)} "}}"'
        text = json.dumps(value)
        return syntax.words.get(text, literal(text))

    def _anything(self) -> str:
        """Any value; lists and objects of any."""
        if "" not in self._referred:
            self._referred[""] = name = self._rules.reserve("anything")
            kinds = ("string", "number", "boolean", "null")
            plain = [self._of_kind(kind, {}) for kind in kinds]
            pair = f"{self._syntax.keys.free(self._rules, {})} {self._colon} {name}"
            nested = [self._bracketed("[]", self._listed(name)), self._bracketed("{}", self._listed(pair))]
            self._rules.define(name, " | ".join([*plain, *nested]))
        return self._referred[""]
