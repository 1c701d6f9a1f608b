"""Negates a schema: exactly, or as a subset where no schema can express all of the negation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from puna.chat.schema import TYPES, Schema, kind_of, own_kinds

_SPELLED_OUT = 400
"""Most characters of texts for which a pattern of all other texts is made."""

_BEYOND: dict[str, tuple[str, str]] = {
    "minimum": ("number", "exclusiveMaximum"),
    "maximum": ("number", "exclusiveMinimum"),
    "exclusiveMinimum": ("number", "maximum"),
    "exclusiveMaximum": ("number", "minimum"),
}
_FEWER = {"minLength": "maxLength", "minItems": "maxItems", "minProperties": "maxProperties"}
_MORE = {fewer: least for least, fewer in _FEWER.items()}
_OF = {"Length": "string", "Items": "array", "Properties": "object"}


class Inexpressible(Exception):
    """No part of the negation can be expressed."""


def negate(schema: Any, targets: dict[str, Any], kinds: Iterable[str] = TYPES, depth: int = 8) -> Any:
    """A schema of instances of `kinds` that `schema` does not admit.

    Raises Inexpressible if there are some, but no schema can express any of them.
    """
    if isinstance(schema, bool):
        return not schema
    if depth == 0:
        raise Inexpressible
    kinds = set(kinds)
    alternatives: list[Any] = []
    whole = True

    def again(part: Any, among: Iterable[str] = TYPES) -> Any:
        return negate(part, targets, among, depth - 1)

    for key, value in schema.items():
        try:
            alternatives += _violations(key, value, schema, kinds, targets, again)
        except Inexpressible:
            whole = False
    alternatives = [
        one for one in alternatives if one is True or (one is not False and own_kinds(one) & kinds)
    ]
    if not alternatives and not whole:
        raise Inexpressible
    return {"anyOf": alternatives} if alternatives else False


def _violations(
    key: str,
    value: Any,
    schema: Schema,
    kinds: set[str],
    targets: dict[str, Any],
    again: Callable[..., Any],
) -> list[Any]:
    """Schemas of instances that violate this keyword."""
    if key == "type":
        allowed = {value} if isinstance(value, str) else set(value)
        others = TYPES - allowed - ({"number"} if "integer" in allowed else set())
        if "number" in allowed:
            others -= {"integer"}
        return [{"type": sorted(others)}] if others else []
    if key in ("enum", "const"):
        return _others(value if key == "enum" else [value], kinds)
    if key in _BEYOND:
        kind, opposite = _BEYOND[key]
        return [{"type": kind, opposite: value}]
    if key in _FEWER:
        kind = _OF[key[3:]]
        return [{"type": kind, _FEWER[key]: value - 1}] if value else []
    if key in _MORE:
        return [{"type": _OF[key[3:]], _MORE[key]: value + 1}]
    if key == "required":
        return [{"type": "object", "properties": {name: False}} for name in value]
    if key == "properties":
        return [
            {"type": "object", "properties": {name: again(one)}, "required": [name]}
            for name, one in value.items()
            if one is not True
        ]
    if key == "items" and "prefixItems" not in schema:
        return [{"type": "array", "prefixItems": [again(value)], "minItems": 1}] if value is not True else []
    if key == "contains" and not {"minContains", "maxContains"} & schema.keys():
        return [{"type": "array", "items": again(value)}]
    if key in ("anyOf", "oneOf"):
        return [{"allOf": [again(one) for one in value]}]
    if key == "allOf":
        return [again(one, kinds) for one in value]
    if key == "not":
        return [value]
    if key == "$ref":
        return [again(targets[value], kinds)]
    raise Inexpressible


def _others(values: list[Any], kinds: set[str]) -> list[Any]:
    """Schemas of instances other than these values."""
    taken = set(map(kind_of, values))
    rest = TYPES - taken - {"array", "object"} & taken
    if taken & {"integer", "number"}:
        rest -= {"integer", "number"}
    alternatives: list[Any] = [{"type": sorted(rest)}] if rest else []
    if "boolean" in taken:
        alternatives += [{"const": one} for one in (True, False) if not any(one is value for value in values)]
    numbers = sorted(value for value in values if kind_of(value) in ("integer", "number"))
    if numbers:
        among = "integer" if "number" not in kinds else "number"
        ends = [None, *numbers, None]
        for low, high in pairwise(ends):
            if among == "integer" and None not in (low, high) and math.floor(low) + 1 > math.ceil(high) - 1:
                continue
            bounds = {"exclusiveMinimum": low, "exclusiveMaximum": high}
            if low is None or high is None or low < high:
                given = {key: end for key, end in bounds.items() if end is not None}
                alternatives.append({"type": among, **given})
    texts = [value for value in values if isinstance(value, str)]
    if texts and sum(map(len, texts)) <= _SPELLED_OUT:
        alternatives.append({"type": "string", "pattern": f"^(?:{other_than(texts)})$"})
    if not alternatives and taken & {"array", "object", "string"}:
        raise Inexpressible
    return alternatives


def other_than(texts: Iterable[str]) -> str:
    """A regular expression for every text other than these."""
    tails: dict[str, list[str]] = {}
    ended = False
    for text in texts:
        if text:
            tails.setdefault(text[0], []).append(text[1:])
        else:
            ended = True
    heads = "".join(re.escape(head) if head in r"\]^-[" else head for head in tails)
    alternatives = [] if ended else [""]
    alternatives.append(rf"[^{heads}][\d\D]*" if heads else r"[\d\D]+")
    alternatives += [re.escape(head) + f"(?:{other_than(rest)})" for head, rest in tails.items()]
    return "|".join(alternatives)
