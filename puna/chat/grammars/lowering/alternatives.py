"""Splits a schema into its alternatives: the ways to fit it, each without alternatives of its own."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from puna.chat.schema import Schema, UnsupportedKeyword, invalid, own_kinds

from .disjoint import disjoint
from .merging import SILENT, both, merge
from .negation import Inexpressible, negate
from .objects import names_of

_NOR = "nor"
"""A schema that instances must not fit, because it belongs to another option of a oneOf."""

IN_PLACE = (
    _NOR,
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
)
"""Keywords whose schemas apply to the same instance."""

UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")

_MOST_ALTERNATIVES = 128

Alternative = list[Schema]
"""Schemas without combinators that must all hold."""


class TooManyAlternatives(Exception):
    """The alternatives have too many combinations to write out."""


class Alternatives:
    """`targets`: the schemas that references name."""

    def __init__(self, targets: dict[str, Any]) -> None:
        self._targets = targets

    def of(self, schema: Any, passed: frozenset[str] = frozenset()) -> list[Alternative]:
        """The alternatives of `schema`. Raises TooManyAlternatives."""
        if isinstance(schema, bool):
            return [[]] if schema else []
        alternatives: list[Alternative] = [[]]
        plain = {key: value for key, value in schema.items() if key not in (*IN_PLACE, *UNEVALUATED)}
        for key in schema:
            if plain and key in plain:
                alternatives, plain = _combine(alternatives, [[plain]]), {}
            elif key in IN_PLACE:
                for options in self._options(key, schema, passed):
                    alternatives = _combine(alternatives, options)
        for key in UNEVALUATED:
            if key in schema:
                alternatives = [[*one, *_unevaluated(key, schema[key], one)] for one in alternatives]
        return alternatives

    def number(self, schema: Any, passed: frozenset[str] = frozenset()) -> int:
        """About how many alternatives there are."""
        if not isinstance(schema, dict) or schema.get("$ref") in passed:
            return 1
        found = 1
        for key in ("anyOf", "oneOf"):
            found *= sum(self.number(one, passed) for one in schema.get(key, ())) or 1
        for one in schema.get("allOf", ()):
            found *= self.number(one, passed)
        if "$ref" in schema:
            found *= self.number(self._targets[schema["$ref"]], passed | {schema["$ref"]})
        return found

    def _options(self, key: str, schema: Schema, passed: frozenset[str]) -> Iterable[list[Alternative]]:
        """The alternatives of a keyword: one of each item's."""
        value = schema[key]

        def alternatives(one: Any) -> list[Alternative]:
            return self.of(one, passed)

        if key == "$ref":
            if value in passed:
                raise invalid("its $ref leads only to itself")
            yield self.of(self._targets[value], passed | {value})
        elif key == "allOf":
            yield from map(alternatives, value)
        elif key == "anyOf":
            yield [found for one in value for found in alternatives(one)]
        elif key == "oneOf":
            yield [found for one in self.exclusive(value, closed=False) for found in alternatives(one)]
        elif key in ("not", _NOR):
            yield _silent(alternatives(self._not(value, schema, "not" if key == "not" else "oneOf")))
        elif key == "if" and ("then" in schema or "else" in schema):
            then, other = schema.get("then", True), schema.get("else", True)
            fits = alternatives(both([value, then]))
            try:
                unfit = _silent(alternatives(negate(value, self._targets)))
                yield fits + _combine(unfit, alternatives(other))
            except Inexpressible:
                yield fits + _silent(alternatives(both([then, other])))
        elif key == "dependentRequired":
            for name, needed in value.items():
                yield [[_lacks(name)], [{"required": [name, *needed]}]]
        elif key == "dependentSchemas":
            for name, one in value.items():
                yield [[_lacks(name)], *([{"required": [name]}, *found] for found in alternatives(one))]

    def _not(self, value: Any, schema: Schema, key: str) -> Any:
        try:
            return negate(value, self._targets, own_kinds(schema))
        except Inexpressible:
            raise UnsupportedKeyword(key, "its negation cannot be expressed") from None

    def negate(self, value: Any, key: str) -> Any:
        return self._not(value, {}, key)

    def exclusive(self, options: list[Any], *, closed: bool) -> list[Any]:
        """Makes options exclusive: no instance fits two of them. With `closed`, their objects have only the
        properties that they name."""
        result: list[Any] = []
        for at, one in enumerate(options):
            others = [
                other
                for place, other in enumerate(options)
                if place != at
                and not disjoint(self.expanded(one), self.expanded(other), self.expanded, closed)
            ]
            if others:
                kinds = sorted({kind for part in self.expanded(one) for kind in own_kinds(part)})
                refused = [{_NOR: other, "type": kinds} for other in others]
                result.append(both([one, *refused]))
            else:
                result.append(one)
        return [one for one in result if one is not False]

    def expanded(self, schema: Any) -> list[Schema]:
        """Its alternatives, each as one schema."""
        try:
            return [merge(alternative) if alternative else {} for alternative in self.of(schema)]
        except TooManyAlternatives:
            return [{}]


def _combine(alternatives: list[Alternative], options: list[Alternative]) -> list[Alternative]:
    if len(alternatives) * len(options) > _MOST_ALTERNATIVES:
        raise TooManyAlternatives
    return [[*one, *other] for one, other in product(alternatives, options)]


def _lacks(name: str) -> Schema:
    return {"properties": {name: False}}


def _silent(alternatives: list[Alternative]) -> list[Alternative]:
    return [[{**part, SILENT: True} for part in alternative] for alternative in alternatives]


def _unevaluated(key: str, value: Any, alternative: Alternative) -> list[Schema]:
    """The schema for properties or items that no part of an alternative names."""
    alternative = [part for part in alternative if SILENT not in part]
    if key == "unevaluatedItems":
        if any("items" in part for part in alternative):
            return []
        longest = max((len(part.get("prefixItems", ())) for part in alternative), default=0)
        return [{"prefixItems": [True] * longest, "items": value}]
    if any("additionalProperties" in part for part in alternative):
        return []
    patterns = {one: True for part in alternative for one in part.get("patternProperties", {})}
    return [
        {
            "properties": dict.fromkeys(names_of(alternative), True),
            "patternProperties": patterns,
            "additionalProperties": value,
        }
    ]
