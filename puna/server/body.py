"""A request's body: read up to a limit, decoded into a typed struct, whatever its Content-Type says."""

from __future__ import annotations

import re
from asyncio import to_thread
from collections.abc import AsyncGenerator, Iterable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from puna import gojson
from puna.errors import BadRequest, InvalidField, PunaError
from puna.server.compressed import decompressed
from puna.server.fields import match_fields

LIMIT = 256 << 20
"""Bytes; room for several photographs in base64."""

T = TypeVar("T")

# A msgspec message ends with the field's path: " - at `$.messages[0].role`".
_PLACE = re.compile(r"(?P<what>.*) - at `(?:key` in `)?\$\.?(?P<field>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_ANY_KEY = "[...]"
"""What msgspec writes for a value in a dictionary."""
_TYPE_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


class TooLarge(PunaError):
    """The body is longer than LIMIT."""

    status = 413


async def decode_body(request: Request, kind: type[T]) -> T:
    """The request's JSON body as `kind`. Raises BadRequest with the reason, TooLarge."""
    return decode(await read(request), kind)


async def read(request: Request, limit: int = LIMIT) -> bytes:
    """The whole body, decompressed. Raises TooLarge beyond `limit` bytes, BadRequest, UnknownCoding."""
    body = b"".join([chunk async for chunk in chunks(request, limit)])
    coding = request.headers.get("content-encoding", "")
    return await to_thread(_join, decompressed(body, coding), limit) if coding else body


async def chunks(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives. Raises TooLarge beyond `limit` bytes, by Content-Length before reading."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


def _join(pieces: Iterable[bytes], limit: int) -> bytes:
    joined = bytearray()
    for piece in pieces:
        joined += piece
        if len(joined) > limit:
            raise _too_large(limit)
    return bytes(joined)


def decode(body: bytes, kind: type[T]) -> T:
    """JSON as `kind`, read as Go reads it. Raises BadRequest: no JSON, or a field of the wrong type."""
    if not body.strip():
        raise BadRequest("missing request body")
    try:
        return _decoder(kind).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # Go accepts more: names in another case, invalid Unicode.
    try:
        given = gojson.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"invalid JSON in request body: {error}") from None
    return convert(given, kind)


def convert(given: Any, kind: type[T], *, strict: bool = True) -> T:
    """Decoded JSON as `kind`. Unless `strict`, a text is accepted as a number. Raises BadRequest."""
    try:
        return msgspec.convert(match_fields(given, kind), kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None
    except RecursionError as error:
        raise BadRequest(f"invalid request body: {error}") from None


@lru_cache(maxsize=64)
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def _refusal(message: str) -> BadRequest:
    """msgspec's message with JSON's type names, without `| null` of optional fields."""
    message = message.replace(" | null`", "`")
    message = re.sub(r"\b(str|int|float|bool)\b", lambda found: _TYPE_NAMES[found[0]], message)
    place = _PLACE.fullmatch(message)
    what, field = (place["what"], place["field"].partition(_ANY_KEY)[0]) if place else (message, "")
    if missing := _MISSING.fullmatch(what):
        field = f"{field}.{missing['name']}".removeprefix(".")
        return BadRequest(f'missing required field "{field}"', field, "missing_required_parameter")
    if not place:
        return BadRequest(f"invalid request body: {message}")
    what = what.replace("`", "")
    return InvalidField(field, f"{what[:1].lower()}{what[1:]}")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"request body is longer than {limit >> 20} MB")
