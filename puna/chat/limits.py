"""Bounds the work and memory of a Jinja template.

Each rendering has an allowance of units, as `allowance` says; a call costs four. Operations that would create
a huge value in one step are checked in advance.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .allowance import SHORT, Allowance

_GREATEST = 1_000_000
"""The greatest count or width in a template."""

_WIDE_FIELD = re.compile(r"\d{6,}|%[-+# 0]*\*|\.\*")

_allowed: ContextVar[Allowance] = ContextVar("the allowance of the rendering that runs", default=SHORT)
_left: ContextVar[list[int] | None] = ContextVar("units left to the rendering that runs", default=None)


class LimitExceeded(Exception):
    """The template exceeds a limit."""


@contextmanager
def budget(allowed: Allowance) -> Iterator[None]:
    """Start one rendering, for the block."""
    limits, left = _allowed.set(allowed), _left.set([allowed.units])
    try:
        yield
    finally:
        _allowed.reset(limits)
        _left.reset(left)


def spend(units: int) -> None:
    """Take `units` from the allowance. Raises LimitExceeded when it is used up."""
    left = _left.get()
    if left is not None and units:
        left[0] -= units
        if left[0] < 0:
            raise LimitExceeded("the template takes too many steps")


def charge(value: Any) -> Any:
    """`value`, after spending units for its size."""
    if isinstance(value, str):
        spend(len(value) >> 6)
    elif isinstance(value, (list, tuple, range, dict, set, bytes)):
        spend(len(value) >> 3)
    elif isinstance(value, int) and value.bit_length() > 1024:
        raise LimitExceeded("a number is too great")
    return value


def printable(value: Any) -> Any:
    """`value`. Raises LimitExceeded if its text is too long. A value counts each time it occurs."""
    if isinstance(value, str):
        limit(len(value))
        return charge(value)
    pending, size = [value], 0
    while pending:
        item = pending.pop()
        size += 16
        if isinstance(item, (str, dict, list, tuple, set)):
            size += len(item)
            if not isinstance(item, str):
                pending.extend(item)
            if isinstance(item, dict):
                pending.extend(item.values())
        limit(size)
    return value


def limit(size: int) -> None:
    """Raises LimitExceeded for too many characters or items."""
    if size > (most := _allowed.get().characters):
        raise LimitExceeded(f"a value is longer than {most}")


def binary(operator: str, left: Any, right: Any) -> None:
    """Raises LimitExceeded if `left operator right` would be too large."""
    if operator == "*":
        for many, times in ((left, right), (right, left)):
            if isinstance(many, (str, list, tuple)) and isinstance(times, int):
                limit(len(many) * times)
    elif operator == "**" and (abs(left) > 1024 or abs(right) > 128):
        raise LimitExceeded("a power is too great")
    elif operator == "%" and isinstance(left, str):
        _format(left, right)


def call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Charges a call of `function`. Raises LimitExceeded if a string's method would return too much."""
    spend(4)
    method = getattr(function, "__wrapped__", function)  # the sandbox wraps str.format
    owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    if isinstance(owner, (str, bytes, int)):
        _numbers(args, kwargs)
    if not isinstance(owner, str):
        return
    if name == "join" and args:
        _join(args[0], owner)
    elif name in ("format", "format_map"):
        _format(owner, args, kwargs)
    elif name == "replace":
        _replace(owner, *args)
    elif name in ("translate", "encode", "expandtabs"):
        raise LimitExceeded(f"{name} is not for templates")


def guard(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter `name`, with a bounded and charged result."""
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0
    check = _CHECKS.get(name)

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        passed, value, others = args[:skipped], args[skipped], args[skipped + 1 :]
        if name == "join" and not isinstance(value, str):
            value = list(value)
        charge(value)
        if name in _COUNTING:
            _numbers(others, kwargs)
        if check:
            check(value, *others, **kwargs)
        return charge(function(*passed, value, *others, **kwargs))

    return run


def _numbers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, int) and abs(argument) > _GREATEST:
            raise LimitExceeded("a number is too great")


def _text(value: Any, *_: Any, **__: Any) -> None:
    printable(value)


def _replace(value: Any, old: Any = "", new: Any = "", *_: Any, **__: Any) -> None:
    printable([value, old, new])
    text = str(value)
    limit(len(text) + text.count(str(old)) * len(str(new)))


def _join(value: Any, d: Any = "", *_: Any, **__: Any) -> None:
    printable(value)
    limit(len(value) * len(str(d)))


def _format(pattern: Any, *values: Any, **named: Any) -> None:
    printable([pattern, values, named])
    if _WIDE_FIELD.search(str(pattern)):
        raise LimitExceeded("a field is too wide")


def _indent(value: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    printable(value)
    text = str(value)
    limit(len(text) + (text.count("\n") + 1) * (width if isinstance(width, int) else len(str(width))))


def _to_json(value: Any, *_: Any, indent: Any = None, **__: Any) -> None:
    printable(value)
    if isinstance(indent, int) and indent > 16:
        raise LimitExceeded("an indent is too wide")


_COUNTING = frozenset(["batch", "indent", "round", "slice", "truncate"])
"""Filters with a count or a width as argument."""

_CHECKS: dict[str, Callable[..., None]] = {
    **dict.fromkeys(("capitalize", "e", "escape", "lower", "safe", "string", "title"), _text),
    **dict.fromkeys(("trim", "upper", "urlencode", "wordcount"), _text),
    "format": _format,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "tojson": _to_json,
}
