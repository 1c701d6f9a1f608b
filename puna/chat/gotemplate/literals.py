"""Go's literals: numbers, characters and strings (https://go.dev/ref/spec)."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)", re.S
)
_SIMPLE = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))
_LEGACY_OCTAL = re.compile(r"([+-]?)0((?:_?[0-7])+)")
_INTEGER = re.compile(
    r"[+-]?(?:0|[1-9](?:_?[0-9])*|0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+)"
)
_DIGITS, _HEX = r"[0-9](?:_?[0-9])*", r"[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_DECIMAL = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_HEX_FLOAT = re.compile(rf"[+-]?0[xX](?:_?{_HEX}\.?(?:{_HEX})?|\.{_HEX})[pP][+-]?{_DIGITS}")
_COMPLEX = re.compile(r"([+-]?[^+-]*[^eEpP+-])([+-].+)i")


def number(text: str) -> int | float | complex:
    """The value of a numeric literal: int, float (with a point or an exponent) or complex (with an i).

    Raises ValueError with Go's wording.
    """
    if text.endswith("i"):
        return _imaginary(text)
    if legacy := _LEGACY_OCTAL.fullmatch(text):
        return _in_range(text, int(legacy[1] + legacy[2].replace("_", ""), 8))
    if _INTEGER.fullmatch(text):
        return _in_range(text, int(text, 0))
    value = _float(text)
    if not any(mark in text for mark in ".eEpP"):
        raise ValueError(f'integer overflow: "{text}"')
    return value


def _in_range(text: str, value: int) -> int:
    # Only an unsigned number may need all 64 bits.
    if -(1 << 63) <= value < 1 << (63 if text[0] in "+-" else 64):
        return value
    reason = "illegal number syntax" if text.lstrip("+-0")[0] in "xXoObB" else "integer overflow"
    raise ValueError(f'{reason}: "{text}"')


def _imaginary(text: str) -> complex:
    both = _COMPLEX.fullmatch(text)
    if both:
        return complex(_float(both[1]), _float(both[2]))
    try:
        return complex(0, _float(text[:-1]))
    except ValueError:
        raise ValueError(f'illegal number syntax: "{text}"') from None


def _float(text: str) -> float:
    if _HEX_FLOAT.fullmatch(text):
        value = float.fromhex(text.replace("_", ""))
    elif _DECIMAL.fullmatch(text):
        value = float(text.replace("_", ""))
    else:
        raise ValueError(f'illegal number syntax: "{text}"')
    if value in (float("inf"), float("-inf")):
        raise ValueError(f'illegal number syntax: "{text}"')
    return value


def string(text: str) -> str:
    """The value of a quoted or raw string literal. Raises ValueError("invalid syntax")."""
    if text.startswith("`"):
        return text[1:-1].replace("\r", "")
    return _unescape(text[1:-1], other_mark="'")


def character(text: str) -> int:
    """The code point of a character literal. Raises ValueError with Go's wording."""
    value = _unescape(text[1:-1], other_mark='"')
    if not value:
        raise ValueError("invalid syntax")
    if len(value) > 1:
        raise ValueError(f"malformed character constant: {text}")
    code = ord(value)
    return code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code


def _unescape(body: str, *, other_mark: str) -> str:
    if "\\" not in body:
        return body

    def replacement(escape: re.Match[str]) -> str:
        simple, two_hex, octal, four_hex, eight_hex = escape.groups()
        if simple and simple != other_mark:
            return _SIMPLE[simple]
        if two_hex or octal:
            # A byte; one above ASCII stays a lone surrogate until its whole character is assembled.
            return bytes([int(two_hex, 16) if two_hex else int(octal, 8)]).decode("utf-8", "surrogateescape")
        code = int(four_hex or eight_hex or "110000", 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError("invalid syntax")
        return chr(code)

    text = _ESCAPE.sub(replacement, body)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
