"""The fields of a request's JSON objects, whatever the case of their names, as in Go's encoding/json."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import inspect

TokenId = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Fields(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object in a request. Fields that it does not know are ignored: see `named`.

    Decoding fails on them, and only then are names compared without case: other bodies pay nothing.
    """


def named(value: Any, kind: Any) -> Any:
    """`value` with its fields renamed to the spelling of `kind`.

    The last of several spellings wins. Unknown fields are left out.
    """
    return _named(value, _described(kind))


def spelled(given: dict[str, Any], *names: str) -> dict[str, Any]:
    """`given` with these names in this spelling; other fields are kept."""
    known = {name.casefold(): name for name in names}
    return {
        name if name in names else known.get(name.casefold(), name): value for name, value in given.items()
    }


def _named(value: Any, kind: inspect.Type) -> Any:
    for one in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        if isinstance(value, dict) and isinstance(one, inspect.StructType):
            return _object(value, one)
        if isinstance(value, list) and isinstance(one, inspect.ListType):
            return [_named(item, one.item_type) for item in value]
    return value


def _object(given: dict[str, Any], kind: inspect.StructType) -> dict[str, Any]:
    exact, folded = _spelled(kind.cls)
    fields: dict[str, Any] = {}
    for name, value in given.items():
        if field := exact.get(name) or folded.get(name.casefold()):
            nested = isinstance(value, (dict, list))
            fields[field.encode_name] = _named(value, field.type) if nested else value
    return fields


@lru_cache(maxsize=256)
def _spelled(kind: type[msgspec.Struct]) -> tuple[dict[str, inspect.Field], dict[str, inspect.Field]]:
    """The fields of a struct by their names, and by their names in lower case."""
    described = _described(kind)
    assert isinstance(described, inspect.StructType)
    exact = {field.encode_name: field for field in described.fields}
    return exact, {name.casefold(): field for name, field in exact.items()}


@lru_cache(maxsize=256)
def _described(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)
