"""Replaces patterns of schema libraries that no grammar supports by equivalent ones."""

from __future__ import annotations

import re

# Pydantic's decimals with a number of digits.
_DECIMAL = re.compile(r"\(\?=\[\\d\.\]\{1,(\d+)\}0\*\$\)\\d\{0,\d+\}\\\.\\d\{0,\d+\}0\*\$")

_DAYS = r"(?:\d+Y(?:\d+M)?(?:\d+D)?|\d+M(?:\d+D)?|\d+D)"
_SECONDS = r"\d+(?:[.,]\d+)?S"
_TIME = rf"T(?:\d+H(?:\d+M)?(?:{_SECONDS})?|\d+M(?:{_SECONDS})?|{_SECONDS})"

_EQUAL = {
    # Zod 4, packages/zod/src/v4/core/regexes.ts, duration.
    r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$": (
        rf"^P(?:\d+W|{_DAYS}(?:{_TIME})?|{_TIME})$"
    )
}


def as_meant(pattern: str) -> str:
    """The pattern in ECMA's dialect, with known lookaheads replaced."""
    pattern = _DECIMAL.sub(lambda found: _digits(int(found[1])), _EQUAL.get(pattern, pattern))
    # Python programs leave Python's anchors in their schemas.
    return re.sub(r"^\\A", "^", re.sub(r"(?<!\\)\\[Zz]$", "$", pattern))


def _digits(room: int) -> str:
    """Digits with a point among them, at most `room` characters."""
    most = (room - 1) // 2
    return rf"\d{{0,{most}}}\.\d{{0,{room - 1 - most}}}$"
