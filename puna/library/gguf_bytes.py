"""The header of a GGUF file as the bytes it is, for files that are rewritten: walked, and written again.

What is walked was read whole by `read_metadata` before, so its counts and lengths are true.
Format: ggml's docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

METADATA_AT = struct.calcsize("<4sIQQ")
"""Where the metadata begin: behind the magic, the version, and the numbers of tensors and entries."""

_STRING, _ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a metadata value, by its type."""
_U64 = struct.Struct("<Q")


class Entry(NamedTuple):
    """A metadata entry: its key, its type, and where it, its value and the next one begin."""

    key: bytes
    kind: int
    start: int
    value: int
    end: int


def entries(header: mmap.mmap) -> Iterator[Entry]:
    """The metadata entries of a file, first to last."""
    at = METADATA_AT
    for _ in range(_U64.unpack_from(header, 16)[0]):
        start, at = at, after_string(header, at)
        key, (kind,) = header[start + 8 : at], struct.unpack_from("<I", header, at)
        value = at + 4
        at = _after_value(header, value, kind)
        yield Entry(key, kind, start, value, at)


def after_string(header: mmap.mmap, at: int) -> int:
    """Where what follows the string at `at` begins."""
    return at + 8 + _U64.unpack_from(header, at)[0]


def tensor_infos(tensors: Iterable[tuple[str, tuple[int, ...], int, int]], alignment: int) -> bytes:
    """The infos of tensors that lie one behind the other: each a name, a shape, a ggml type and a size."""
    infos, offset = bytearray(), 0
    for name, shape, kind, size in tensors:
        encoded = name.encode()
        infos += _U64.pack(len(encoded)) + encoded
        infos += struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += size + -size % alignment
    return bytes(infos)


def _after_value(header: mmap.mmap, at: int, kind: int) -> int:
    length = 1
    if kind == _ARRAY:
        kind, length = struct.unpack_from("<IQ", header, at)
        at += 12
    if kind != _STRING:
        return at + _SIZES[kind] * length
    for _ in range(length):
        at = after_string(header, at)
    return at
