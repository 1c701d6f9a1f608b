"""Dequantises a GGUF file to F16; metadata, names and order stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from pathlib import Path

from puna.errors import PunaError
from puna.gguf import GGUFFile, StoredTensor, TensorInfo, u32, write

MOSTLY_F16 = 1
"""`general.file_type` of a file whose matrices are F16 (llama.h, LLAMA_FTYPE_MOSTLY_F16)."""

_FILE_TYPE = "general.file_type"
_F32, _F16 = 0, 1  # ggml_type
_WEIGHTS_AT_ONCE = 1 << 20


def to_f16(source: Path, target: Path, on_bytes: Callable[[int, int], None]) -> None:
    """Write `source` to `target` with every matrix as F16 and every vector as F32.

    `on_bytes(done, total)` counts tensor bytes written; an error raised in it stops the work. Keeps about a
    million weights in memory. Raises LoadFailed when the file is damaged, PunaError when a tensor cannot be
    converted.
    """
    with GGUFFile(source) as file, target.open("wb") as out:
        values = file.values()
        if _FILE_TYPE in values:
            values[_FILE_TYPE] = u32(MOSTLY_F16)
        tensors = [_target(file, tensor) for tensor in file.metadata.tensors]
        write(out, values, tensors, file.metadata.alignment, on_bytes)


def _target(file: GGUFFile, tensor: TensorInfo) -> StoredTensor:
    kind = _F16 if len(tensor.shape) > 1 else _F32
    size = prod(tensor.shape) * (2 if kind == _F16 else 4)
    return StoredTensor(tensor.name, tensor.shape, kind, size, partial(_weights, file, tensor, kind))


def _weights(file: GGUFFile, tensor: TensorInfo, kind: int) -> Iterator[bytes]:
    """The weights of a tensor as F32 or F16, some rows at a time."""
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    columns, rows = (tensor.shape or (1,))[0], prod(tensor.shape[1:])
    if not tensor.size:
        raise PunaError(f"cannot convert tensor {tensor.name!r} of {tensor.type_name}")
    row_bytes = tensor.size // rows
    for piece in file.data(tensor, row_bytes * max(1, _WEIGHTS_AT_ONCE // columns)):
        packed = np.frombuffer(piece, np.uint8).reshape(-1, row_bytes)
        try:
            weights = quants.dequantize(packed, GGMLQuantizationType[tensor.type_name])
            with np.errstate(over="raise"):
                yield weights.astype("<f2" if kind == _F16 else "<f4").tobytes()
        except (NotImplementedError, KeyError):
            raise PunaError(f"cannot convert tensor {tensor.name!r} of type {tensor.type_name}") from None
        except FloatingPointError:
            raise PunaError(f"tensor {tensor.name!r} has weights too large for F16") from None
