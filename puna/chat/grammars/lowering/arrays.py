"""Lowers arrays: `contains` and `uniqueItems`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations
from typing import Any

from puna.chat.schema import Schema, UnsupportedKeyword, kind_of, own_kinds

from .merging import both, same
from .objects import Expanded, Located

_ANY_ORDER = 4
"""Most unique values to allow in any order: the number of orders is factorial."""

_IN_ORDER = 8
"""Most unique values to allow in the schema's order."""

_LONGEST = 1000
"""Most items to count."""

Not = Callable[[Any, str], Any]
"""Negates a schema; raises BadRequest naming the keyword."""


def array(schema: Schema, located: Located, expanded: Expanded, refused: Not, further: list[Any]) -> Schema:
    """Lowers the keywords of arrays; adds further constraints to `further`."""
    first = list(schema.get("prefixItems", ()))
    items = schema.get("items", True)
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if "contains" in schema:
        first, items, least = _containing(schema, first, items, least, refused)
    if items is False:
        most = len(first) if most is None else min(most, len(first))
    if most is not None and least <= _LONGEST < most:
        most = _LONGEST
    if least > _LONGEST:
        raise UnsupportedKeyword("minItems", f"{least} are too many")
    # Values that cannot be listed may repeat: a client that wants a set makes one of the array.
    if schema.get("uniqueItems") and not first and (found := _values(items, expanded)) is not None:
        further.append(_once(found, least, most, schema))
        return {}
    result: Schema = {}
    if first:
        result["prefixItems"] = [located(one) for one in first]
    if items is not True:
        result["items"] = located(items)
    if least:
        result["minItems"] = least
    if most is not None:
        result["maxItems"] = most
    return result


def _containing(
    schema: Schema, first: list[Any], items: Any, least: int, refused: Not
) -> tuple[list[Any], Any, int]:
    """The required items come first, after the places with their own schemas."""
    wanted = schema["contains"]
    fewest, most = schema.get("minContains", 1), schema.get("maxContains")
    if fewest > _LONGEST:
        raise UnsupportedKeyword("minContains", f"{fewest} are too many")
    if most is not None:
        if most < fewest:
            return [False], False, 1
        other = refused(wanted, "maxContains")
    else:
        other = True
    if fewest == 0 and most is None:
        return first, items, least
    if items is False and first:
        first = [both([one, wanted if place < fewest else other]) for place, one in enumerate(first)]
        return first, items, max(least, fewest)
    first = [both([one, other]) for one in first] + [both([items, wanted])] * fewest
    return first, both([items, other]), max(least, len(first) if fewest else 0)


def _values(items: Any, expanded: Expanded) -> list[Any] | None:
    """All possible values of the items, if they are listed and few."""
    found: list[Any] = []
    for alternative in expanded(items):
        kinds = own_kinds(alternative)
        if "enum" in alternative and alternative.keys() <= {"enum", "type"}:
            values = [value for value in alternative["enum"] if kind_of(value) in kinds]
        elif kinds <= {"boolean", "null"} and alternative.keys() <= {"type"}:
            values = [value for value in (True, False, None) if kind_of(value) in kinds]
        else:
            return None
        found += [value for value in values if not any(same(value, one) for one in found)]
    return found if len(found) <= _IN_ORDER else None


def _once(values: list[Any], least: int, most: int | None, schema: Schema) -> Schema:
    """Arrays of these values, each at most once."""
    chosen = permutations if len(values) <= _ANY_ORDER else combinations
    sizes = range(least, min(len(values), len(values) if most is None else most) + 1)
    arrays = [list(some) for size in sizes for some in chosen(values, size)]
    others = sorted(own_kinds(schema) - {"array"})
    alternatives: list[Any] = [{"const": one} for one in arrays]
    return {"anyOf": [*alternatives, *([{"type": others}] if others else [])]}
