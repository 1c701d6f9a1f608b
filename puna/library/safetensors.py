"""The tensors of a safetensors file, as arrays over a memory map.

Format: huggingface/safetensors README, "Format": u64 header length, JSON header, then the data without gaps.
"""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from puna.types import PunaError

if TYPE_CHECKING:
    import numpy as np

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}
_MAX_HEADER = 100_000_000  # the reference implementation's limit, in bytes


def open_tensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Each tensor by its name; nothing is read before it is used.

    Raises PunaError when the header does not describe exactly the bytes that follow it.
    """
    import numpy as np

    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(_MAX_HEADER, size - 8):
            raise _damaged(path, "the header is longer than the file")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise _damaged(path, "the header is not JSON") from None
    if not isinstance(header, dict):
        raise _damaged(path, "the header is not an object")
    header.pop("__metadata__", None)
    if not header:
        return {}
    data = np.memmap(path, np.uint8, "r", offset=8 + length) if size > 8 + length else np.empty(0, np.uint8)
    spans = {name: _span(path, name, entry, len(data)) for name, entry in header.items()}
    ends = 0
    for start, end, _, _ in sorted(spans.values(), key=lambda span: span[:2]):
        if start != ends:
            raise _damaged(path, "tensors overlap or leave a gap")
        ends = end
    if ends != len(data):
        raise _damaged(path, "data after the last tensor")
    return {
        name: data[start:end].view(dtype).reshape(shape) for name, (start, end, dtype, shape) in spans.items()
    }


def _span(path: Path, name: str, entry: Any, size: int) -> tuple[int, int, str, tuple[int, ...]]:
    """Start, end, NumPy type and shape of a header entry, checked against each other and `size`."""
    try:
        kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
            raise ValueError
    except (TypeError, KeyError, ValueError):
        raise _damaged(path, f"tensor {name} is not described") from None
    dtype = _DTYPES.get(str(kind))
    if dtype is None:
        raise PunaError(f"{path.name}: tensor {name} has the type {kind}, which cannot be converted")
    if end > size or end - start != prod(shape) * int(dtype[-1]):
        raise _damaged(path, f"tensor {name} does not fit")
    return start, end, dtype, shape


def _damaged(path: Path, reason: str) -> PunaError:
    return PunaError(f"{path.name} is damaged: {reason}")
