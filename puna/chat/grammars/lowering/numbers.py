"""Lowers numbers: bounds that a grammar supports, and multiples that survive floating-point division."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from puna.chat.schema import Schema, UnsupportedKeyword

_LARGEST = 2**53 - 1
"""Up to here all JSON parsers tell integers apart (RFC 8259 §6)."""

_MOST_MULTIPLES = 1000

_BOUNDS = {"minimum": 1, "exclusiveMinimum": 1, "maximum": -1, "exclusiveMaximum": -1}
"""For each bound, the side of it that is allowed."""


def number(schema: Schema, kinds: set[str]) -> Schema:
    """The number keywords that replace the schema's own; `kinds`: the types that it allows."""
    result: Schema = {}
    for key, side in _BOUNDS.items():
        if key in schema and abs(schema[key]) > _LARGEST:
            if schema[key] * side > 0:
                raise UnsupportedKeyword(key, f"{schema[key]} is too large")
            result[key] = -side * _LARGEST
    step = schema.get("multipleOf")
    alone = kinds <= {"integer", "number"} and "enum" not in schema
    if alone and isinstance(step, float) and Fraction(step) != Fraction(str(step)):
        values = _multiples(step, schema)
        if values is not None:
            result["enum"] = values
    return result


def _multiples(step: float, schema: Schema) -> list[Any] | None:
    """The multiples within a schema's bounds, if they are few.

    Binary numbers are not exact: 0.59 is a multiple of 0.01, but 0.59 / 0.01 is not whole. Validators that
    divide refuse such a multiple, so it is omitted.
    """
    lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
    highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
    if not lows or not highs:
        return None
    exact = Fraction(str(step))
    first, last = math.ceil(Fraction(str(max(lows))) / exact), math.floor(Fraction(str(min(highs))) / exact)
    if last - first >= _MOST_MULTIPLES:
        return None
    values = [float(exact * at) for at in range(first, last + 1)]
    return [
        int(value) if value.is_integer() else value
        for value in values
        if (value / step).is_integer()
        and value > schema.get("exclusiveMinimum", -math.inf)
        and value < schema.get("exclusiveMaximum", math.inf)
    ]
