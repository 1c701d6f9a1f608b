"""Case-insensitive field names of JSON objects in requests, as in Go's encoding/json.

And 4.0 for an integer, as in JSON Schema: some clients write every number so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import inspect

TokenId = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Temperature = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]


class Fields(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object in a request. `match_fields` drops its unknown fields.

    Decoding fails on unknown fields. Only then are names compared without case, so exact bodies stay fast.
    """


def match_fields(value: Any, kind: Any) -> Any:
    """`value` with field names in the spelling of `kind`, and without unknown fields.

    If a field occurs in several spellings, the last one wins.
    """
    return _match(value, _type_info(kind))


def normalize_names(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """`given` with `names` in this spelling, and its other fields unchanged."""
    known = {name.casefold(): name for name in names}
    return {
        name if name in names else known.get(name.casefold(), name): value for name, value in given.items()
    }


def _match(value: Any, kind: inspect.Type) -> Any:
    for one in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        if isinstance(value, dict) and isinstance(one, inspect.StructType):
            return _match_object(value, one)
        if isinstance(value, list) and isinstance(one, inspect.ListType):
            return [_match(item, one.item_type) for item in value]
        if isinstance(value, float) and value.is_integer() and isinstance(one, inspect.IntType):
            return int(value)
    return value


def _match_object(given: dict[str, Any], kind: inspect.StructType) -> dict[str, Any]:
    exact, folded = _fields_by_name(kind.cls)
    fields: dict[str, Any] = {}
    for name, value in given.items():
        if field := exact.get(name) or folded.get(name.casefold()):
            matters = isinstance(value, (dict, list, float))
            fields[field.encode_name] = _match(value, field.type) if matters else value
    return fields


@lru_cache(maxsize=256)
def _fields_by_name(kind: type[msgspec.Struct]) -> tuple[dict[str, inspect.Field], dict[str, inspect.Field]]:
    """The fields of a struct by their names, and by their names in lower case."""
    described = _type_info(kind)
    assert isinstance(described, inspect.StructType)
    exact = {field.encode_name: field for field in described.fields}
    return exact, {name.casefold(): field for name, field in exact.items()}


@lru_cache(maxsize=256)
def _type_info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)
