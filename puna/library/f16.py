"""A quantised GGUF file rewritten with its matrices as F16; metadata, names and order stay as they are.

The metadata is copied as bytes, not rebuilt from values: every type and string stays exactly as it was.
Format: ggml's docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

from puna.library.gguf import read_metadata
from puna.library.gguf_bytes import METADATA_AT, entries, tensor_infos
from puna.library.metadata import TensorInfo
from puna.types import PunaError

MOSTLY_F16 = 1
"""`general.file_type` of a file whose matrices are F16 (llama.h, LLAMA_FTYPE_MOSTLY_F16)."""

_F32, _F16 = 0, 1  # ggml_type
_UINT32 = 4  # gguf_metadata_value_type
_WEIGHTS_AT_ONCE = 1 << 20


def to_f16(source: Path, target: Path, on_bytes: Callable[[int, int], None]) -> None:
    """Write `source` to `target` with every matrix as F16 and every vector as F32.

    `on_bytes(done, total)` counts tensor bytes written; an error raised in it stops the work. Holds about
    a million weights in memory at a time. Raises LoadFailed when the file is damaged, PunaError when it has
    tensors that cannot be converted.
    """
    header = read_metadata(source)
    alignment = header.get("general.alignment", 32)
    total = sum(_target_bytes(tensor) for tensor in header.tensors)
    done = 0
    with (
        source.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw,
        target.open("wb") as out,
    ):
        end, file_type = METADATA_AT, None
        for entry in entries(raw):
            end = entry.end
            if (entry.key, entry.kind) == (b"general.file_type", _UINT32):
                file_type = entry.value
        metadata = bytearray(raw[:end])
        if file_type is not None:
            struct.pack_into("<I", metadata, file_type, MOSTLY_F16)
        out.write(metadata)
        out.write(tensor_infos(map(_target, header.tensors), alignment))
        # Names, shapes and their widths are the source's, so its infos are as long as those just written.
        data = out.tell() + -out.tell() % alignment
        for tensor in header.tensors:
            out.write(bytes(-out.tell() % alignment))
            for chunk in _weights(raw, data + tensor.offset, tensor):
                out.write(chunk)
                done += len(chunk)
                on_bytes(done, total)
        out.write(bytes(-out.tell() % alignment))


def _target_type(tensor: TensorInfo) -> int:
    return _F16 if len(tensor.shape) > 1 else _F32


def _target_bytes(tensor: TensorInfo) -> int:
    return prod(tensor.shape) * (2 if _target_type(tensor) == _F16 else 4)


def _target(tensor: TensorInfo) -> tuple[str, tuple[int, ...], int, int]:
    return tensor.name, tensor.shape, _target_type(tensor), _target_bytes(tensor)


def _weights(raw: mmap.mmap, at: int, tensor: TensorInfo) -> Iterator[bytes]:
    """The weights of the tensor whose data is at `at`, in its target type, some rows at a time."""
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    columns, rows = (tensor.shape or (1,))[0], prod(tensor.shape[1:])
    if not tensor.size:
        raise PunaError(f"cannot convert tensor {tensor.name!r} of {tensor.type_name}")
    row_bytes, step = tensor.size // rows, max(1, _WEIGHTS_AT_ONCE // columns)
    target = np.dtype("<f2" if _target_type(tensor) == _F16 else "<f4")
    for row in range(0, rows, step):
        height = min(step, rows - row)
        start = at + row * row_bytes
        # Copied out, so that no view keeps the map open when an error ends the work.
        packed = np.frombuffer(raw[start : start + height * row_bytes], np.uint8).reshape(height, row_bytes)
        try:
            weights = quants.dequantize(packed, GGMLQuantizationType[tensor.type_name])
            with np.errstate(over="raise"):
                yield weights.astype(target).tobytes()
        except (NotImplementedError, KeyError):
            raise PunaError(f"cannot convert tensor {tensor.name!r} of type {tensor.type_name}") from None
        except FloatingPointError:
            raise PunaError(f"tensor {tensor.name!r} has weights too large for F16") from None
