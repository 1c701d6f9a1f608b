"""`eq` and `lt`: values of one basic kind compare, others are an error."""

from __future__ import annotations

from typing import Any

from .values import Fault, Struct, plain, type_name


def equal(first: Any, *others: Any) -> bool:
    """Whether `first` equals one of `others`. Raises Fault for kinds that do not compare."""
    if not others:
        raise Fault("missing argument for comparison")
    for other in others:
        if type(first) is not str or type(other) is not str:
            _check_kinds(first, other)
        if first is other or (first == other and first is not None and other is not None):
            return True
    return False


def less(first: Any, second: Any) -> bool:
    """Whether `first` < `second`: numbers of one kind, or strings by their bytes."""
    for value in (first, second):
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise Fault("invalid type for comparison")
    if type_name(first) != type_name(second):
        raise Fault(f"incompatible types for comparison: {type_name(first)} and {type_name(second)}")
    return first < second


def _check_kinds(first: Any, other: Any) -> None:
    if first is None or other is None:
        return
    if type_name(first) != type_name(other):
        raise Fault(f"incompatible types for comparison: {type_name(first)} and {type_name(other)}")
    if isinstance(other, (list, dict)) and not isinstance(other, Struct):
        raise Fault(f"non-comparable type {plain(other)}: {type_name(other)}")
