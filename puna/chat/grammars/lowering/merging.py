"""Merges schemas that must all hold into one, keyword by keyword."""

from __future__ import annotations

import json
from fractions import Fraction
from math import gcd, lcm
from typing import Any

from puna.chat.patterns import InvalidPattern, Unsupported, anchored_patterns, is_found
from puna.chat.schema import Schema, UnsupportedKeyword

_GREATEST = {
    "minimum",
    "exclusiveMinimum",
    *(f"min{what}" for what in ("Contains", "Items", "Length", "Properties")),
}
_LEAST = {
    "maximum",
    "exclusiveMaximum",
    *(f"max{what}" for what in ("Contains", "Items", "Length", "Properties")),
}
_OF_OBJECTS = {"properties", "patternProperties", "additionalProperties"}
_OF_ARRAYS = {"prefixItems", "items"}

SILENT = "silent"
"""Our keyword for a schema that must hold, but whose properties and items do not count as evaluated."""


def merge(parts: list[Schema]) -> Schema:
    """One schema for all of `parts`, which have no combinators. Its subschemas may be `allOf`.

    Patterns and formats are lists under `patterns` and `formats`. Raises BadRequest where two keywords cannot
    be merged.
    """
    parts = [_listed(part) for part in parts]
    if len(parts) == 1:
        return parts[0]
    result: Schema = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        values = [part[key] for part in parts if key in part]
        if key in _OF_OBJECTS:
            if _OF_OBJECTS.isdisjoint(result):
                result |= _object(parts)
        elif key in _OF_ARRAYS:
            if _OF_ARRAYS.isdisjoint(result):
                result |= _array(parts)
        elif len(values) == 1:
            result[key] = values[0]
        else:
            result[key] = _one(key, values)
    return result


def both(schemas: list[Any]) -> Any:
    """A schema that holds where all of them hold."""
    limiting = [one for one in schemas if one is not True and one != {}]
    if any(one is False for one in limiting):
        return False
    return {"allOf": limiting} if len(limiting) > 1 else limiting[0] if limiting else True


def _listed(part: Schema) -> Schema:
    result: Schema = {}
    for key, value in part.items():
        if key == SILENT:
            continue
        if key in ("pattern", "format"):
            result[f"{key}s"] = [value]
        elif key == "const":
            result["enum"] = [one for one in part.get("enum", [value]) if same(one, value)]
        elif key != "enum" or "const" not in part:
            result[key] = value
    return result


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def _one(key: str, values: list[Any]) -> Any:
    if key in _GREATEST:
        return max(values)
    if key in _LEAST:
        return min(values)
    if key == "type":
        return _types(values)
    if key == "enum":
        first, *others = values
        return [one for one in first if all(any(same(one, two) for two in other) for other in others)]
    if key == "required":
        return list(dict.fromkeys(name for one in values for name in one))
    if key in ("patterns", "formats"):
        return [one for listed in values for one in listed]
    if key == "propertyNames":
        return both(values)
    if key == "uniqueItems":
        return any(values)
    if key == "multipleOf":
        return _multiple(values)
    if len({json.dumps(value, sort_keys=True) for value in values}) == 1:
        return values[0]
    raise UnsupportedKeyword(key, "several combined schemas have it")


def _multiple(values: list[Any]) -> float:
    """The least common multiple of all."""
    fractions = [Fraction(str(value)) for value in values]
    common = Fraction(
        lcm(*(one.numerator for one in fractions)), gcd(*(one.denominator for one in fractions))
    )
    return common.numerator if common.denominator == 1 else float(common)


def _types(values: list[Any]) -> list[str]:
    listed = [[value] if isinstance(value, str) else value for value in values]
    kept = listed[0]
    for other in listed[1:]:
        narrowed = [kind for kind in kept if kind in other or (kind == "integer" and "number" in other)]
        if "number" in kept and "integer" in other and "integer" not in narrowed:
            narrowed.append("integer")
        kept = narrowed
    return kept


def _object(parts: list[Schema]) -> Schema:
    names = dict.fromkeys(name for part in parts for name in part.get("properties", {}))
    patterns = dict.fromkeys(one for part in parts for one in part.get("patternProperties", {}))
    result: Schema = {}
    if names:
        result["properties"] = {name: both([_of_name(part, name) for part in parts]) for name in names}
    if patterns:
        result["patternProperties"] = {
            one: both([part.get("patternProperties", {}).get(one, _further(part)) for part in parts])
            for one in patterns
        }
    if any("additionalProperties" in part for part in parts):
        result["additionalProperties"] = both([_further(part) for part in parts])
    return result


def _further(part: Schema) -> Any:
    return part.get("additionalProperties", True)


def _of_name(part: Schema, name: str) -> Any:
    """A part's schema for one property."""
    if name in (properties := part.get("properties", {})):
        return properties[name]
    found = matching(part.get("patternProperties", {}), name)
    return both(found) if found else _further(part)


def matching(patterns: Schema, name: str) -> list[Any]:
    """The schemas of the patterns that are found in a name. Raises BadRequest as `matches` does."""
    return [one for pattern, one in patterns.items() if matches(pattern, name)]


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text. Raises BadRequest naming an unsupported pattern."""
    try:
        return is_found(pattern, text)
    except (InvalidPattern, Unsupported) as error:
        raise UnsupportedKeyword("pattern", f"{pattern!r:.60} has {error}") from None


def expressions(pattern: str) -> list[str]:
    """The pattern as supported patterns that must all hold. Raises BadRequest as `matches` does."""
    try:
        return anchored_patterns(pattern)
    except (InvalidPattern, Unsupported) as error:
        raise UnsupportedKeyword("pattern", f"{pattern!r:.60} has {error}") from None


def _array(parts: list[Schema]) -> Schema:
    longest = max(len(part.get("prefixItems", ())) for part in parts)
    result: Schema = {}
    if longest:
        result["prefixItems"] = [both([_at(part, place) for part in parts]) for place in range(longest)]
    if any("items" in part for part in parts):
        result["items"] = both([part.get("items", True) for part in parts])
    return result


def _at(part: Schema, place: int) -> Any:
    first = part.get("prefixItems", ())
    return first[place] if place < len(first) else part.get("items", True)
