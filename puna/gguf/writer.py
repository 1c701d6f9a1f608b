"""Writes GGUF files from encoded metadata values and from tensors in pieces.

An encoded value is its type and the value, as in a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

ALIGNMENT = 32
"""Bytes; GGUF's default."""

_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_ARRAY_HEAD = struct.Struct("<IIQ")


class StoredTensor(NamedTuple):
    """A tensor to write: `shape` in the file's order, `kind` ggml's number of its type, `size` in bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int
    size: int
    data: Callable[[], Iterable[bytes]]


def write(
    out: BinaryIO,
    values: Mapping[str, bytes],
    tensors: Sequence[StoredTensor],
    alignment: int = ALIGNMENT,
    on_bytes: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a file with `alignment`, which is among `values` unless it is the default.

    `on_bytes(done, total)` counts tensor bytes written; an error raised in it stops the work. Raises OSError.
    """
    out.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)))
    for key, value in values.items():
        out.write(_text(key) + value)
    offset = 0
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        out.write(_text(tensor.name) + shape + struct.pack("<IQ", tensor.kind, offset))
        offset += tensor.size + -tensor.size % alignment
    done, total = 0, sum(tensor.size for tensor in tensors)
    for tensor in tensors:
        out.write(bytes(-out.tell() % alignment))
        for piece in tensor.data():
            done += out.write(piece)
            on_bytes(done, total)
    out.write(bytes(-out.tell() % alignment))


def string(value: str) -> bytes:
    """A text as an encoded value, in UTF-8."""
    return struct.pack("<I", _STRING) + _text(value)


def flag(value: bool) -> bytes:
    """A truth value as an encoded value, of one byte."""
    return struct.pack("<I?", _BOOL, value)


def u32(value: int) -> bytes:
    """A number from 0 to 2³² - 1 as an encoded value."""
    return struct.pack("<II", _UINT32, value)


def f32(value: float | Sequence[float]) -> bytes:
    """A number, or an array of them."""
    if isinstance(value, Sequence):
        return _ARRAY_HEAD.pack(_ARRAY, _FLOAT32, len(value)) + struct.pack(f"<{len(value)}f", *value)
    return struct.pack("<If", _FLOAT32, value)


def i32(values: Sequence[int]) -> bytes:
    """An array of numbers."""
    return _ARRAY_HEAD.pack(_ARRAY, _INT32, len(values)) + struct.pack(f"<{len(values)}i", *values)


def encoded(value: Any) -> bytes:
    """A text, truth value or number, or an array of one kind: whole numbers as u32, in arrays as i32."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, bool):
        return flag(value)
    if isinstance(value, int):
        return u32(value)
    if isinstance(value, float):
        return f32(value)
    if isinstance(value[0], str):
        return _ARRAY_HEAD.pack(_ARRAY, _STRING, len(value)) + b"".join(map(_text, value))
    if isinstance(value[0], bool):
        return _ARRAY_HEAD.pack(_ARRAY, _BOOL, len(value)) + bytes(value)
    return i32(value) if isinstance(value[0], int) else f32(value)


def truncate_array(array: bytes, length: int) -> bytes:
    """The first `length` values of an encoded array; any other value, or a shorter array, as it is."""
    if len(array) < _ARRAY_HEAD.size:
        return array
    kind, inner, count = _ARRAY_HEAD.unpack_from(array)
    if kind != _ARRAY or count <= length:
        return array
    end = _ARRAY_HEAD.size
    if inner == _STRING:
        for _ in range(length):
            end += 8 + int.from_bytes(array[end : end + 8], "little")
    else:
        end += (len(array) - end) // count * length
    return _ARRAY_HEAD.pack(kind, inner, length) + array[_ARRAY_HEAD.size : end]


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data
