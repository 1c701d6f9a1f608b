"""Compressed request bodies (RFC 9110, 8.4). Codex compresses its requests with zstd."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from puna.errors import BadRequest, PunaError

_PIECE = 1 << 20
_ZLIB_OR_GZIP = zlib.MAX_WBITS | 32


class UnknownCoding(PunaError):
    """The body is compressed in a way that is not read here."""

    status = 415

    def __init__(self, coding: str) -> None:
        super().__init__(f'a body with "Content-Encoding: {coding}" is not read: send gzip, deflate or zstd')


def decompressed(body: bytes, coding: str) -> Iterator[bytes]:
    """The content in pieces of at most a MiB, by the value of Content-Encoding.

    Raises UnknownCoding, and BadRequest for a damaged body.
    """
    coding = coding.lower()
    if coding in ("gzip", "x-gzip", "deflate"):
        return _inflated(body)
    if coding == "zstd":
        return _from_zstd(body)
    if coding == "identity":
        return iter([body])
    raise UnknownCoding(coding)


def _inflated(body: bytes) -> Iterator[bytes]:
    reader = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        while piece := reader.decompress(body, _PIECE):
            yield piece
            body = reader.unconsumed_tail
    except zlib.error as error:
        raise _damaged(error) from None
    if not reader.eof:
        raise _damaged("it is cut short")


def _from_zstd(body: bytes) -> Iterator[bytes]:
    import zstandard

    reader = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
    try:
        while piece := reader.read(_PIECE):
            yield piece
    except zstandard.ZstdError as error:
        raise _damaged(error) from None


def _damaged(reason: Exception | str) -> BadRequest:
    return BadRequest(f"the compressed request body is damaged: {reason}")
