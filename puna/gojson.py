"""Parses JSON like Go's encoding/json, which Ollama's clients rely on.

Invalid Unicode becomes U+FFFD: bytes that are not UTF-8, and lone surrogates, which JavaScript produces when
it cuts a text inside an emoji. Ignores text after the first value.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import msgspec

_ESCAPE = re.compile(
    rb"""
    \\ (?: u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}  # a pair
    | (?P<half> u[dD][89a-fA-F][0-9a-fA-F]{2} )
    | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SPACE = " \t\r\n"


def decode(text: bytes) -> Any:
    """The first value in `text`. Raises msgspec.DecodeError naming the problem, RecursionError."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            return _decode_first(text)
        except ValueError:
            raise msgspec.DecodeError(str(error)) from None


def sanitize(text: bytes) -> bytes:
    """JSON text with U+FFFD for invalid Unicode."""
    valid = text.decode("utf-8", _EACH_BYTE).encode()
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match["half"] else match[0], valid)


def _decode_first(text: bytes) -> Any:
    whole = sanitize(text).decode()
    start = len(whole) - len(whole.lstrip(_SPACE))
    return _DECODER.raw_decode(whole, start)[0]


def _replace_bytes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\N{REPLACEMENT CHARACTER}" * (error.end - error.start), error.end


def _reject_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


_EACH_BYTE = "puna.each-byte"
codecs.register_error(_EACH_BYTE, _replace_bytes)
_DECODER = json.JSONDecoder(parse_constant=_reject_constant)
