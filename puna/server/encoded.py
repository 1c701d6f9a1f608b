"""Bytes in text: base64, decoded leniently, and data: URLs (RFC 2397)."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote, unquote_to_bytes

from puna.errors import InvalidField

_STANDARD = bytes.maketrans(b"-_", b"+/")


def from_base64(text: str, field: str) -> bytes:
    """The bytes. White space, missing padding and the URL-safe alphabet are accepted. Raises BadRequest."""
    try:
        digits = text.encode("ascii").translate(_STANDARD, delete=b" \t\r\n\v\f").rstrip(b"=")
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidField(field, "it is not base64") from None


def is_data_url(text: str) -> bool:
    return text[:5].lower() == "data:"


def from_data_url(text: str, field: str) -> bytes:
    """The bytes in a data: URL, whatever type it claims. Raises BadRequest."""
    head, comma, body = text[5:].partition(",")
    if not comma:
        raise InvalidField(field, "the data URL has no comma")
    if head.rpartition(";")[2].strip().lower() == "base64":
        return from_base64(unquote(body) if "%" in body else body, field)
    return unquote_to_bytes(body)
