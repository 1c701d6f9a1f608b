"""Matrices of 4-bit numbers with one scale for each 32 (OCP Microscaling formats), as in GPT-OSS.

Hugging Face stores `blocks` (…, 16 bytes of two numbers, the first in the low half) beside `scales`. ggml
puts a block's scale before its bytes, with numbers i and i + 16 in byte i (ggml-common.h, block_mxfp4).
"""

from __future__ import annotations

import numpy as np

from puna.errors import BadRequest
from puna.library.convert.tensors import Array, Tensor

_BYTES = 16


def pack_mxfp4(blocks: Tensor, scales: Tensor) -> Tensor:
    """The stack of matrices (experts, rows, columns) made from `blocks` and `scales`."""
    if (
        len(blocks.shape) != 4
        or blocks.shape[3] != _BYTES
        or blocks.shape[:3] != scales.shape
        or {blocks.dtype, scales.dtype} != {"U8"}
    ):
        raise BadRequest(f"tensors {blocks.name} and {scales.name} are not the parts of one MXFP4 tensor")

    def read(first: int, last: int) -> Array:
        bytes_, exponents = blocks.read(first, last), scales.read(first, last)
        numbers = np.stack((bytes_ & 15, bytes_ >> 4), axis=-1).reshape(*bytes_.shape[:-1], 2 * _BYTES)
        mixed = numbers[..., :_BYTES] | (numbers[..., _BYTES:] << 4)
        return np.concatenate((exponents[..., None], mixed), axis=-1)

    count, rows, per_row, _ = blocks.shape
    return Tensor(blocks.name, (count, rows, per_row * 2 * _BYTES), "MXFP4", read)
