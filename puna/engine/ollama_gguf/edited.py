"""A GGUF file as an `Edit` of another one makes it: written, or read without being written."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from math import prod
from typing import BinaryIO

import numpy as np

from puna.engine.ollama_gguf.edit import Derived, Edit, Floats, derived
from puna.errors import LoadFailed
from puna.gguf import ALIGNMENT, TYPE_NUMBERS, GGUFFile, StoredTensor, TensorInfo, truncate_array, write

_PIECE = 8 << 20
_F32 = 0  # ggml_type
_VOCABULARY = ("scores", "token_type", "tokens")


class EditedFile:
    """`file` as `edit` makes it. Raises OSError, and LoadFailed for a tensor of unknown type."""

    def __init__(self, file: GGUFFile, edit: Edit) -> None:
        self._file = file
        self._values = _values(file, edit)
        self._sources = [derived(file, source) for source in edit.tensors.values()]
        self._tensors = [
            _stored_tensor(file, name, source)
            for name, source in zip(edit.tensors, self._sources, strict=True)
        ]
        header = io.BytesIO()
        write(header, self._values, [tensor._replace(data=tuple) for tensor in self._tensors])
        self._header = header.getvalue()
        sizes = (tensor.size + -tensor.size % ALIGNMENT for tensor in self._tensors)
        self._starts = list(accumulate(sizes, initial=len(self._header)))
        self.size = self._starts[-1]
        """Bytes."""
        self._made: tuple[int, bytes] = (-1, b"")
        """The tensor that was computed last: its index and its data."""

    def write(self, out: BinaryIO) -> None:
        """Write it all. Raises OSError, LoadFailed."""
        write(out, self._values, self._tensors)

    def read_into(self, buffer: memoryview, at: int) -> int:
        """Read from byte `at` on; returns how many bytes, 0 only at the end. Raises OSError, LoadFailed."""
        if at < len(self._header):
            return _copy(self._header[at : at + len(buffer)], buffer)
        if at >= self.size:
            return 0
        index = bisect_right(self._starts, at) - 1
        padded, at = self._starts[index + 1] - self._starts[index], at - self._starts[index]
        left = self._tensors[index].size - at
        if left <= 0:
            return _copy(bytes(min(padded - at, len(buffer))), buffer)
        source = self._sources[index]
        if source.compute is source.rows is None and len(source.names) == 1:
            return self._file.read_into(buffer[:left], self._file.tensors[source.names[0]], at)
        if self._made[0] != index:
            self._made = (index, b"".join(self._tensors[index].data()))
        return _copy(self._made[1][at : at + len(buffer)], buffer)


def _copy(data: bytes, buffer: memoryview) -> int:
    buffer[: len(data)] = data
    return len(data)


def _values(file: GGUFFile, edit: Edit) -> dict[str, bytes]:
    values = (file.values() if edit.inherits else {}) | edit.values
    values.pop("general.alignment", None)  # the edited file has the default
    if edit.vocabulary is not None:
        for key in (f"tokenizer.ggml.{name}" for name in _VOCABULARY):
            if key in values:
                values[key] = truncate_array(values[key], edit.vocabulary)
    return values


def _stored_tensor(file: GGUFFile, name: str, source: Derived) -> StoredTensor:
    parts = [file.tensors[part] for part in source.names]
    for part in parts:
        if part.type_name not in TYPE_NUMBERS:
            raise LoadFailed(f"unable to load model: tensor {part.name} has an unknown type")
    if source.rows is not None:
        parts = [_row(part, row) for part in parts for row in source.rows]
    if source.compute is not None:
        data = partial(_computed, file, parts, source)
        return StoredTensor(name, source.shape, _F32, prod(source.shape) * 4, data)
    kind = TYPE_NUMBERS[parts[0].type_name]
    size = sum(part.size for part in parts) * prod(source.shape) // sum(prod(part.shape) for part in parts)
    return StoredTensor(name, source.shape, kind, size, partial(_copied, file, parts, size))


def _row(matrix: TensorInfo, row: int) -> TensorInfo:
    columns, *rows = matrix.shape
    size = matrix.size // prod(rows)
    return TensorInfo(matrix.name, (columns,), matrix.type_name, matrix.offset + row * size, size)


def _copied(file: GGUFFile, parts: list[TensorInfo], size: int) -> Iterator[bytes]:
    for part in parts:
        for piece in file.data(part, _PIECE):
            yield piece[:size]
            size -= len(piece[:size])


def _computed(file: GGUFFile, parts: list[TensorInfo], source: Derived) -> Iterator[bytes]:
    assert source.compute is not None
    try:
        values = source.compute(*(_dequantized(file, part) for part in parts))
        if values.size != prod(source.shape):
            raise ValueError(f"{values.size} values")
    except (LookupError, ValueError) as error:
        problem = f"tensor {parts[0].name} has another form than expected: {error}"
        raise LoadFailed(f"unable to load model: {problem}") from error
    yield np.ascontiguousarray(values, "<f4").tobytes()


def _dequantized(file: GGUFFile, tensor: TensorInfo) -> Floats:
    """The tensor's values; the last axis of its shape comes first. Raises LoadFailed."""
    from gguf import GGMLQuantizationType, quants

    packed = np.frombuffer(b"".join(file.data(tensor)), np.uint8).reshape(prod(tensor.shape[1:]), -1)
    try:
        return quants.dequantize(packed, GGMLQuantizationType[tensor.type_name]).reshape(tensor.shape[::-1])
    except (KeyError, NotImplementedError):
        problem = f"tensor {tensor.name} cannot be converted from {tensor.type_name}"
        raise LoadFailed(f"unable to load model: {problem}") from None
