"""`eq` and `lt`: values of one basic kind compare, other pairs are an error."""

from __future__ import annotations

from typing import Any, cast

from .values import ExecError, Struct, plain, type_name


def equal(first: Any, *others: Any) -> bool:
    """Whether `first` equals one of `others`. Raises ExecError for kinds that do not compare."""
    if not others:
        raise ExecError("missing argument for comparison")
    for other in others:
        if type(first) is not str or type(other) is not str:
            _check_kinds(first, other)
        if first is other or (first == other and first is not None and other is not None):
            return True
    return False


def less(first: Any, second: Any) -> bool:
    """Whether `first` < `second`: numbers of one kind, or strings by their bytes."""
    if not isinstance(first, (int, float, str)) or not isinstance(second, (int, float, str)):
        raise ExecError("invalid type for comparison")
    if type_name(first) != type_name(second):
        raise ExecError(f"incompatible types for comparison: {type_name(first)} and {type_name(second)}")
    if isinstance(first, bool):
        raise ExecError("invalid type for comparison")
    return cast(float, first) < cast(float, second)


def _check_kinds(first: Any, other: Any) -> None:
    if first is None or other is None:
        return
    if type_name(first) != type_name(other):
        raise ExecError(f"incompatible types for comparison: {type_name(first)} and {type_name(other)}")
    if isinstance(other, (list, dict)) and not isinstance(other, Struct):
        raise ExecError(f"non-comparable type {plain(other)}: {type_name(other)}")
