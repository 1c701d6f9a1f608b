"""Decides whether two schemas have no common instance, in simple cases."""

from __future__ import annotations

from puna.chat.schema import Schema, own_kinds

from .merging import same
from .objects import Expanded

_DEEP = 4

_OPENS = {"additionalProperties", "patternProperties", "propertyNames"}


def disjoint(
    one: list[Schema], other: list[Schema], expanded: Expanded, closed: bool, depth: int = _DEEP
) -> bool:
    """Whether no instance fits a schema of `one` and one of `other`; False if that is unknown.

    Each is a list of alternatives. With `closed`, objects of `one` have only the properties that it names.
    """
    return all(_disjoint(a, b, expanded, closed, depth) for a in one for b in other)


def _disjoint(one: Schema, other: Schema, expanded: Expanded, closed: bool, depth: int) -> bool:
    kinds = own_kinds(one) & own_kinds(other)
    if not kinds:
        return True
    if "enum" in one and "enum" in other:
        return not any(same(a, b) for a in one["enum"] for b in other["enum"])
    return all(_disjoint_as(kind, one, other, expanded, closed, depth) for kind in kinds)


def _disjoint_as(kind: str, one: Schema, other: Schema, expanded: Expanded, closed: bool, depth: int) -> bool:
    """`disjoint` for instances of one type."""
    if kind == "object":
        return _objects_disjoint(one, other, expanded, closed, depth)
    if kind in ("integer", "number"):
        return _beyond(one, other) or _beyond(other, one)
    if kind in ("string", "array"):
        what = "Length" if kind == "string" else "Items"
        ends = [(a.get(f"min{what}", 0), b.get(f"max{what}")) for a, b in ((one, other), (other, one))]
        return any(most is not None and least > most for least, most in ends)
    return False


def _objects_disjoint(one: Schema, other: Schema, expanded: Expanded, closed: bool, depth: int) -> bool:
    mine, others = one.get("properties", {}), other.get("properties", {})
    needed, wanted = one.get("required", ()), other.get("required", ())
    if closed and mine and not _OPENS & one.keys() and not {*mine, *needed}.issuperset(wanted):
        return True
    if not depth:
        return False
    for name in (*needed, *wanted):
        a, b = mine.get(name, True), others.get(name, True)
        if a is not True and b is not True and disjoint(expanded(a), expanded(b), expanded, False, depth - 1):
            return True
    return False


def _beyond(low: Schema, high: Schema) -> bool:
    """Whether all numbers of `low` are below those of `high`."""
    ends = [low[key] for key in ("maximum", "exclusiveMaximum") if key in low]
    begins = [high[key] for key in ("minimum", "exclusiveMinimum") if key in high]
    if not ends or not begins:
        return False
    end, begin = min(ends), max(begins)
    return end < begin or (
        end == begin and (low.get("exclusiveMaximum") == end or high.get("exclusiveMinimum") == begin)
    )
