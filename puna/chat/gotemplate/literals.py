"""Go's literals: numbers, characters and strings, as https://go.dev/ref/spec writes them."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)", re.S
)
_SIMPLE = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))
_LEGACY_OCTAL = re.compile(r"([+-]?)0([0-7_]+)")
_HEX_FLOAT = re.compile(r"[+-]?0[xX].*[pP]")


def number(text: str) -> int | float:
    """The value of a numeric literal: an int, or a float when it has a point or an exponent.

    Raises ValueError with Go's wording.
    """
    try:
        return _integer(text)
    except ValueError:
        pass
    try:
        digits = text.replace("_", "")
        value = float.fromhex(digits) if _HEX_FLOAT.match(digits) else float(digits)
    except (ValueError, OverflowError):
        value = float("inf")
    if value in (float("inf"), float("-inf")):
        raise ValueError(f'illegal number syntax: "{text}"')
    return value


def _integer(text: str) -> int:
    if legacy := _LEGACY_OCTAL.fullmatch(text):
        return int(legacy[1] + legacy[2], 8)
    return int(text, 0)


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
            # A byte; those above ASCII wait as lone surrogates until whole characters are put together.
            return bytes([int(two_hex, 16) if two_hex else int(octal, 8)]).decode("utf-8", "surrogateescape")
        code = int(four_hex or eight_hex or "110000", 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError("invalid syntax")
        return chr(code)

    text = _ESCAPE.sub(replacement, body)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
