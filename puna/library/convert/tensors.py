"""Lazy tensors, read when they are written, and the transformations of the families."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from puna.errors import BadRequest

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tensor:
    """A tensor of `shape`; `read(first, last)` returns those rows of its first axis, as stored."""

    name: str
    """Its name in the file, for messages."""
    shape: tuple[int, ...]
    dtype: str
    """A safetensors type: "F32", "F16", "BF16" (read as uint16), "U8" …; or "MXFP4", rows of whole blocks."""
    read: Callable[[int, int], Array]
    step: int = 1
    """Rows are read in multiples of this."""

    @property
    def rows(self) -> int:
        return self.shape[0]


def decode_bf16(values: Array, dtype: str) -> Array:
    """BF16 as F32; other values unchanged, because NumPy can compute with them."""
    if dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values


def constant(name: str, values: Sequence[float]) -> Tensor:
    """A vector that is not in the checkpoint."""
    array = np.asarray(values, np.float32)
    return Tensor(name, array.shape, "F32", lambda first, last: array[first:last])


def plus_one(tensor: Tensor) -> Tensor:
    """The weight + 1, because Gemma's norms scale by that."""

    def read(first: int, last: int) -> Array:
        return decode_bf16(tensor.read(first, last), tensor.dtype).astype(np.float32) + 1

    return replace(tensor, dtype="F32", read=read)


def permute(tensor: Tensor, heads: int) -> Tensor:
    """Rows of each head from rotated halves (Hugging Face) to rotated pairs (llama.cpp's "llama")."""
    size, rest = divmod(tensor.rows, heads)
    if rest or size % 2:
        raise BadRequest(
            f"tensor {tensor.name} has {tensor.rows} rows, which {heads} heads do not share evenly"
        )

    def read(first: int, last: int) -> Array:
        rows = tensor.read(first, last)
        return rows.reshape(-1, 2, size // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)

    return replace(tensor, read=read, step=size)


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """One tensor with a new first axis, over `tensors`."""
    first_one = tensors[0]
    for tensor in tensors:
        if (tensor.shape, tensor.dtype) != (first_one.shape, first_one.dtype):
            raise BadRequest(f"tensors {first_one.name} and {tensor.name} differ in shape or type")

    def read(first: int, last: int) -> Array:
        return np.stack([tensor.read(0, tensor.rows) for tensor in tensors[first:last]])

    return Tensor(first_one.name, (len(tensors), *first_one.shape), first_one.dtype, read)


def transpose(tensor: Tensor) -> Tensor:
    """The last two axes of a stack of matrices swapped."""
    count, rows, columns = _shape(tensor, 3)
    return replace(
        tensor,
        shape=(count, columns, rows),
        read=lambda first, last: tensor.read(first, last).swapaxes(1, 2),
    )


def slice_rows(tensor: Tensor, part: slice) -> Tensor:
    """`part` of the second axis."""
    count = len(range(*part.indices(_shape(tensor, 2, more=True)[1])))
    return replace(
        tensor,
        shape=(tensor.shape[0], count, *tensor.shape[2:]),
        read=lambda first, last: tensor.read(first, last)[:, part],
    )


def _shape(tensor: Tensor, axes: int, *, more: bool = False) -> tuple[int, ...]:
    if len(tensor.shape) == axes or (more and len(tensor.shape) > axes):
        return tensor.shape
    raise BadRequest(f"tensor {tensor.name} has {len(tensor.shape)} axes, not {axes}")
