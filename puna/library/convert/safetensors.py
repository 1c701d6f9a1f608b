"""The tensors of a safetensors file, read in parts.

Format: huggingface/safetensors README, "Format": u64 header length, JSON header, then the data without gaps.
"""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from puna.errors import BadRequest
from puna.library.convert.tensors import Array, Tensor

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "F8_E4M3": "u1",
    "F8_E5M2": "u1",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "u1",
}
"""The NumPy type of each stored type."""
_MAX_HEADER = 100_000_000  # the reference implementation's limit, in bytes
_MAX_AXES = 8
_MAX_NUMBERS = 1 << 48  # more than any disk holds, and less than NumPy counts


def open_tensors(path: Path) -> dict[str, Tensor]:
    """Each tensor by its name, read only when used. A scalar has the shape (1,).

    Raises BadRequest unless the header describes exactly the bytes that follow it.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
            if length > min(_MAX_HEADER, size - 8):
                raise _damage_error(path, "the header is longer than the file")
            raw = file.read(length)
    except OSError as error:
        raise BadRequest(f"cannot read {path.name}: {error.strerror}") from None
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        raise _damage_error(path, "the header is not JSON") from None
    if not isinstance(header, dict):
        raise _damage_error(path, "the header is not an object")
    header.pop("__metadata__", None)
    data = 8 + length
    spans = {name: _span(path, name, entry, size - data) for name, entry in header.items()}
    ends = 0
    for start, end, _, _ in sorted(spans.values(), key=lambda span: span[:2]):
        if start != ends:
            raise _damage_error(path, "tensors overlap or leave a gap")
        ends = end
    if ends != size - data:
        raise _damage_error(path, "data after the last tensor")
    return {
        name: _tensor(path, name, data + start, dtype, shape or (1,))
        for name, (start, _, dtype, shape) in spans.items()
    }


def _tensor(path: Path, name: str, offset: int, dtype: str, shape: tuple[int, ...]) -> Tensor:
    width, inner = np.dtype(_DTYPES[dtype]), prod(shape[1:])

    def read(first: int, last: int) -> Array:
        count = (last - first) * inner
        try:
            values = np.fromfile(path, width, count, offset=offset + first * inner * width.itemsize)
        except OSError as error:
            raise BadRequest(f"cannot read {path.name}: {error.strerror}") from None
        if len(values) != count:
            raise _damage_error(path, "it has been cut short")
        # Not -1, because that is ambiguous beside an empty axis.
        return values.reshape(last - first, *shape[1:])

    return Tensor(name, shape, dtype, read)


def _span(path: Path, name: str, entry: Any, size: int) -> tuple[int, int, str, tuple[int, ...]]:
    """Start, end, type and shape of a header entry, checked against one another and `size`."""
    try:
        dtype, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if len(shape) > _MAX_AXES:
            raise ValueError
        if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
            raise ValueError
    except (TypeError, KeyError, ValueError):
        raise _damage_error(path, f"tensor {name} is not described") from None
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise BadRequest(f"{path.name}: tensor {name} has the type {dtype}, which cannot be converted")
    fits = end - start == prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    # An empty axis would hide the size of the others.
    if end > size or not fits or prod(filter(None, shape)) > _MAX_NUMBERS:
        raise _damage_error(path, f"tensor {name} does not fit")
    return start, end, dtype, shape


def _damage_error(path: Path, reason: str) -> BadRequest:
    return BadRequest(f"{path.name} is damaged: {reason}")
