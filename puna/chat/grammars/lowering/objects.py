"""Lowers objects: which properties are allowed, and how many."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, islice
from math import comb
from typing import Any

from puna.chat.grammars.formats import FORMATS
from puna.chat.schema import Schema, UnsupportedKeyword

from .merging import both, expressions, matches, matching

_MOST_CHOICES = 64
"""Most choices of properties to write out, to enforce a number of properties."""

Located = Callable[[Any], Any]
"""The schema of a place in an instance."""

Expanded = Callable[[Any], list[Schema]]
"""A schema's alternatives."""


def names_of(alternative: list[Schema]) -> list[str]:
    """The properties that the schemas name."""
    return list(dict.fromkeys(name for part in alternative for name in part.get("properties", {})))


def object_(
    schema: Schema, located: Located, expanded: Expanded, further: list[Any], *, closed: bool
) -> Schema | None:
    """Lowers the keywords of objects; adds further constraints to `further`. None if no object fits.

    With `closed`, it has only the properties that it names, unless it says otherwise.
    """
    properties: Schema = dict(schema.get("properties", {}))
    patterns: Schema = schema.get("patternProperties", {})
    additional = schema.get("additionalProperties", True)
    required: list[str] = schema.get("required", [])
    for name in properties:
        properties[name] = both([properties[name], *matching(patterns, name)])
    if closed and "additionalProperties" not in schema:
        for name in required:
            properties.setdefault(name, both(matching(patterns, name)))
        additional = False
    if "propertyNames" in schema:
        properties, patterns, additional = _with_names(
            expanded(schema["propertyNames"]), properties, patterns, additional, required
        )
    result: Schema = {}
    if properties:
        result["properties"] = {name: located(one) for name, one in properties.items()}
    if patterns:
        result["patternProperties"] = {_name(pattern): located(one) for pattern, one in patterns.items()}
    if additional is not True:
        result["additionalProperties"] = located(additional)
    needed = list(required)
    bounds = {key: schema[key] for key in ("minProperties", "maxProperties") if key in schema}
    if bounds and not _count(bounds, result, needed, further):
        return None
    if needed:
        result["required"] = needed
    return result


def _with_names(
    names: list[Schema], properties: Schema, patterns: Schema, additional: Any, required: list[str]
) -> tuple[Schema, Schema, Any]:
    """The properties whose names fit one of the schemas `names`."""
    names = [one for one in names if "string" in _kinds(one)]
    if any(not one.keys() - {"type"} for one in names):
        return properties, patterns, additional
    kept = {name: one if _fits_any(name, names) else False for name, one in properties.items()}
    if names and all("enum" in one for one in names):
        for name in dict.fromkeys(text for one in names for text in one["enum"] if isinstance(text, str)):
            if name not in kept and _fits_any(name, names):
                found = matching(patterns, name)
                kept[name] = both(found) if found else additional
        return kept, {}, False
    if not names or (additional is False and not patterns):
        return kept, {}, False
    if patterns or len(names) > 1:
        raise UnsupportedKeyword("propertyNames", "there are too many kinds of names")
    return kept, {_pattern(names[0]): additional}, False


def _kinds(schema: Schema) -> list[str]:
    types = schema.get("type", "string")
    return [types] if isinstance(types, str) else types


def _fits_any(name: str, names: list[Schema]) -> bool:
    return any(_fits(name, one) for one in names)


def _fits(name: str, schema: Schema) -> bool:
    return (
        ("enum" not in schema or name in schema["enum"])
        and schema.get("minLength", 0) <= len(name) <= schema.get("maxLength", len(name))
        and all(matches(one, name) for one in _patterns(schema))
    )


def _patterns(names: Schema) -> list[str]:
    """The patterns and formats of names, as supported patterns."""
    patterns = [one for pattern in names.get("patterns", ()) for one in expressions(pattern)]
    return patterns + [f"^(?:{FORMATS[one]})$" for one in names.get("formats", ()) if one in FORMATS]


def _name(pattern: str) -> str:
    found = expressions(pattern)
    if len(found) != 1:
        raise UnsupportedKeyword("patternProperties", f"{pattern!r:.60} looks ahead")
    return found[0]


def _pattern(names: Schema) -> str:
    """One pattern for all constraints on names."""
    patterns = _patterns(names)
    if "minLength" in names or "maxLength" in names:
        most = names.get("maxLength", "")
        patterns.append(rf"^[\d\D]{{{names.get('minLength', 0)},{most}}}$")
    if len(patterns) != 1 or names.keys() - {"type", "patterns", "formats", "minLength", "maxLength"}:
        raise UnsupportedKeyword("propertyNames", "it must be one pattern, a length or an enum")
    return patterns[0]


def _count(bounds: Schema, result: Schema, needed: list[str], further: list[Any]) -> bool:
    """Apply minProperties and maxProperties; False if no object fits. `needed` are required properties."""
    properties: Schema = result.get("properties", {})
    optional = [name for name, one in properties.items() if one is not False and name not in needed]
    more = bool(result.get("patternProperties")) or result.get("additionalProperties", True) is not False
    least = max(bounds.get("minProperties", 0) - len(needed), 0)
    most = bounds["maxProperties"] - len(needed) if "maxProperties" in bounds else None
    if most is not None and (most < 0 or least > most):
        return False
    if more and optional and most is not None:
        # Only named properties can be counted.
        result.pop("patternProperties", None)
        result["additionalProperties"] = more = False
    if more and least > len(optional):
        needed += optional
        least -= len(optional)
        if least > 1:
            raise UnsupportedKeyword("minProperties", "properties without names cannot be counted")
        result["minProperties"] = len(needed) + least
    elif least > len(optional):
        return False
    elif least or (most is not None and most < len(optional)):
        further.append(_choose(optional, least, most))
    elif not optional and most is not None:
        result["maxProperties"] = len(needed) + most
    return True


def _choose(optional: list[str], least: int, most: int | None) -> Schema:
    """Between `least` and `most` of these properties."""
    if most is None or most >= len(optional):
        if comb(len(optional), least) > _MOST_CHOICES:
            return {"required": optional[:least]}
        return {"anyOf": [{"required": list(some)} for some in combinations(optional, least)]}
    choices = (some for size in range(most, least - 1, -1) for some in combinations(optional, size))
    if comb(len(optional), most) <= _MOST_CHOICES:
        # An alternative that allows these properties also allows fewer.
        choices = combinations(optional, most)
        fewer = [{"properties": {name: False for name in optional if name not in some}} for some in choices]
        if not least:
            return {"anyOf": fewer}
        return {"allOf": [{"anyOf": fewer}, _choose(optional, least, None)]}
    alternatives = [
        {"required": list(some), "properties": {name: False for name in optional if name not in some}}
        for some in islice(choices, _MOST_CHOICES)
    ]
    return {"anyOf": alternatives}
