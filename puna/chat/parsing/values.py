"""Values as models write them: JSON and Python literals."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from .scanner import Malformed

_LONE = re.compile(r"\\u[dD][89a-fA-F]")
_INT64 = 1 << 63


def json_value(text: str) -> Any:
    """The value of JSON text; strings may contain line breaks. Raises ValueError, RecursionError."""
    value = _DECODER.decode(text)
    if _LONE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate cannot be encoded
    return value


def json_object(text: str) -> dict[str, Any]:
    """The value of JSON text that must be an object."""
    value = json_value(text)
    if not isinstance(value, dict):
        raise Malformed
    return value


def items(take: Callable[[str], bool], close: str) -> Iterator[None]:
    """Pauses before each item of a list up to `close`; reads the commas between them.

    `take` reads its argument if the text goes on with it. Raises Malformed.
    """
    while not take(close):
        yield
        if not take(","):
            if not take(close):
                raise Malformed
            return


def _integer(digits: str) -> int | float:
    # Python refuses to read integers of thousands of digits.
    number = int(digits) if len(digits) < 21 else _INT64 * 2
    return number if -_INT64 <= number < 2 * _INT64 else _finite(digits)


def _finite(text: str) -> float:
    """The number, or the largest float if it is too large."""
    return max(-sys.float_info.max, min(sys.float_info.max, float(text)))


def _refuse(constant: str) -> None:
    raise Malformed(constant)


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer, parse_float=_finite, parse_constant=_refuse)

_SCALARS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


def scalar(text: str) -> Any:
    """The value of a bare word: a number, a truth value, nothing, or the text itself."""
    if text in _SCALARS:
        return _SCALARS[text]
    try:
        return json_value(text)
    except ValueError:
        return text
