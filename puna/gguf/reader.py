"""Reads the header of a GGUF file (ggml/docs/gguf.md), trusting no count, length or offset in it."""

from __future__ import annotations

import math
import os
import struct
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from puna.errors import LoadFailed
from puna.gguf.metadata import Entry, Metadata, Skipped, TensorInfo
from puna.gguf.types import TENSOR_TYPES

# Far above any real file (20 MB), so that a forged header cannot exhaust memory.
_MAX_HEADER = 64 << 20
_PIECE = 1 << 20
_MAX_ENTRIES = 1 << 16
_MAX_ELEMENTS = 3_000_000
_MAX_DIMENSIONS = 4
_MAX_COUNT = (1 << 63) - 1

_KEPT = 1024
"""Arrays up to this length are always read: those by layer, not those by token."""
_LONG_TEXT, _LONGEST_TEXT, _LONGEST_NAME = 1 << 20, 16 << 20, 1 << 16
"""Bytes above which a text is read only on request, is never read, and of the longest name."""
_ROOM, _ROOM_VERBOSE = 32 << 20, 160 << 20
"""Maximum bytes of memory for all values; the largest known vocabulary takes 120 MB."""
_NUMBER_ROOM, _TEXT_ROOM = 40, 88
"""Bytes that CPython needs for a number in a list, and for a text beside its characters."""

_CUT_SHORT = "it is truncated: the file ends inside its header"

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = _SCALARS[4], _SCALARS[10]


def read_metadata(path: Path, *, verbose: bool = False) -> Metadata:
    """The header of the GGUF file at `path`, version 2 or 3. Checks that all tensor data is in the file.

    Raises LoadFailed naming the file and the problem.
    """
    try:
        with open(path, "rb") as file:
            return _Reader(file, os.fstat(file.fileno()).st_size, verbose=verbose).read()
    except _Malformed as error:
        raise LoadFailed(f"unable to load model {path}: {error}") from None
    except OSError as error:
        raise LoadFailed(f"unable to load model {path}: {error.strerror}") from error


def cached_metadata(path: Path) -> Metadata:
    """`read_metadata` without long values, remembered for the whole process. Raises LoadFailed."""
    try:
        state = path.stat()
    except OSError as error:
        raise LoadFailed(f"unable to load model {path}: {error.strerror}") from error
    return _read_cached(path, state.st_mtime_ns, state.st_size)


def decoded(value: bytes, *, verbose: bool = False) -> Any:
    """An encoded value as the number, text or array that it is; a long one is `Skipped` unless `verbose`.

    Raises LoadFailed when it is damaged.
    """
    try:
        return _Reader(BytesIO(value), len(value), verbose=verbose).value()
    except _Malformed as error:
        raise LoadFailed(f"a metadata value is damaged: {error}") from None


@lru_cache(maxsize=64)
def _read_cached(path: Path, _mtime_ns: int, _size: int) -> Metadata:
    return read_metadata(path)


class _Malformed(Exception):
    pass


class _Reader:
    """Reads a header from front to back, with a piece of it in memory."""

    def __init__(self, file: BinaryIO, size: int, *, verbose: bool) -> None:
        self._file = file
        self._file_size = size
        self._piece = b""
        self._start = 0
        """The offset of `_piece` in the file."""
        self._at = 0
        self._longest_kept = _MAX_ELEMENTS if verbose else _KEPT
        self._longest_text = _LONGEST_TEXT if verbose else _LONG_TEXT
        self._elements_left = _MAX_ELEMENTS
        self._room = _ROOM_VERBOSE if verbose else _ROOM

    def read(self) -> Metadata:
        if self._bytes(4) != b"GGUF":
            raise _Malformed("it is not a GGUF file")
        version = self._number(_U32)
        if version and version & 0xFFFF == 0:
            raise _Malformed("it is big-endian")
        if version not in (2, 3):
            raise _Malformed(f"GGUF version {version} is not supported")
        tensors, entries = self._number(_U64), self._number(_U64)
        if max(tensors, entries) > _MAX_ENTRIES:
            raise _Malformed(f"it claims {tensors} tensors and {entries} metadata entries")
        values: dict[str, Any] = {}
        spans: dict[str, Entry] = {}
        for _ in range(entries):
            key, start = self._name(), self._at
            values[key] = self.value()
            spans[key] = Entry(start, self._at)
        infos = [self._tensor() for _ in range(tensors)]
        data_start = self._check_data(infos, values.get("general.alignment", 32))
        count = sum(math.prod(tensor.shape) for tensor in infos)
        if count > _MAX_COUNT:
            raise _Malformed("its parameter count overflows")
        return Metadata(values, infos, parameter_count=count, entries=spans, data_start=data_start)

    def _check_data(self, tensors: list[TensorInfo], alignment: Any) -> int:
        """The offset of the tensor data. Checks that all of it is in the file."""
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise _Malformed("its alignment is not a power of two")
        if self._at > self._file_size:
            raise _Malformed(_CUT_SHORT)
        start = -(-self._at // alignment) * alignment
        for tensor in tensors:
            end = start + tensor.offset + tensor.size
            if end > self._file_size:
                raise _Malformed(
                    f"it is truncated: tensor {tensor.name!r} ends at byte {end} of {self._file_size}"
                )
        return start

    def _tensor(self) -> TensorInfo:
        name = self._name()
        dimensions = self._number(_U32)
        if dimensions > _MAX_DIMENSIONS:
            raise _Malformed(f"tensor {name!r} has {dimensions} dimensions")
        shape = tuple(self._number(_U64) for _ in range(dimensions))
        number, offset = self._number(_U32), self._number(_U64)
        elements = math.prod(shape)
        if elements > _MAX_COUNT:
            raise _Malformed(f"the size of tensor {name!r} overflows")
        kind = TENSOR_TYPES.get(number)
        if kind is None:
            return TensorInfo(name, shape, f"type {number}", offset, 0)
        if shape and shape[0] % kind.block:
            raise _Malformed(f"tensor {name!r} has rows of {shape[0]}, not a multiple of {kind.block}")
        return TensorInfo(name, shape, kind.name, offset, elements // kind.block * kind.size)

    def value(self) -> Any:
        kind = self._number(_U32)
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array()
        return self._number(self._scalar(kind))

    def _array(self) -> list[Any] | Skipped:
        kind, length = self._number(_U32), self._number(_U64)
        if length > self._elements_left:
            raise _Malformed(f"it claims an array of {length} values")
        self._elements_left -= length
        if length <= self._longest_kept:
            if kind == _STRING:
                return [self._text() for _ in range(length)]
            scalar = self._scalar(kind)
            self._take_room(length * _NUMBER_ROOM)
            return [value for (value,) in scalar.iter_unpack(self._bytes(length * scalar.size))]
        if kind == _STRING:
            self._skip_strings(length)
        else:
            self._at += length * self._scalar(kind).size
        return Skipped(length)

    def _skip_strings(self, count: int) -> None:
        # The hot loop, run for each token of a vocabulary: local names and a single call.
        piece, at, length_at = self._piece, self._at - self._start, _U64.unpack_from
        last = len(piece) - 8
        for _ in range(count):
            if at > last:
                self._at = self._start + at
                self._need(8)
                piece, at, last = self._piece, self._at - self._start, len(self._piece) - 8
            at += 8 + length_at(piece, at)[0]
        self._at = self._start + at

    def _scalar(self, kind: int) -> struct.Struct:
        scalar = _SCALARS.get(kind)
        if scalar is None:
            raise _Malformed(f"it has a value of unknown type {kind}")
        return scalar

    def _name(self) -> str:
        length = self._number(_U64)
        if length > _LONGEST_NAME:
            raise self._beyond(length) or _Malformed(f"it has a name of {length} bytes")
        return self._decode(length)

    def _text(self) -> str | Skipped:
        length = self._number(_U64)
        if length <= self._longest_text:
            return self._decode(length)
        if error := self._beyond(length):
            raise error
        self._at += length
        return Skipped(length)

    def _decode(self, length: int) -> str:
        # One character beyond the 16-bit plane makes every other take four bytes too.
        self._take_room(_TEXT_ROOM + 4 * length)
        return self._bytes(length).decode("utf-8", "replace")

    def _take_room(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise _Malformed("its header holds more than any model's")

    def _number(self, kind: struct.Struct) -> Any:
        return kind.unpack(self._bytes(kind.size))[0]

    def _bytes(self, count: int) -> bytes:
        self._need(count)
        start, self._at = self._at - self._start, self._at + count
        return self._piece[start : start + count]

    def _need(self, count: int) -> None:
        """Make sure that `_piece` holds the next `count` bytes; after a read, it begins with them."""
        available = self._start + len(self._piece) - self._at
        if count <= available:
            return
        if error := self._beyond(count):
            raise error
        if available < 0:
            self._file.seek(self._at)
        rest = self._piece[len(self._piece) - available :] if available > 0 else b""
        self._piece, self._start = rest + self._file.read(max(count - len(rest), _PIECE)), self._at
        if count > len(self._piece):
            raise _Malformed(_CUT_SHORT)

    def _beyond(self, count: int) -> _Malformed | None:
        """The error for a header that cannot hold the next `count` bytes."""
        end = self._at + count
        if end > self._file_size:
            return _Malformed(_CUT_SHORT)
        if end > _MAX_HEADER:
            return _Malformed(f"its header is longer than {_MAX_HEADER >> 20} MiB")
        return None
