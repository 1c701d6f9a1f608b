"""Writes the GGUF file, with weights a few megabytes at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import LlamaFileType

from puna.errors import BadRequest
from puna.gguf import TENSOR_TYPES, StoredTensor, encoded
from puna.gguf import write as write_gguf
from puna.library.convert.tensors import Array, Tensor, decode_bf16

Value = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]

_WEIGHTS_AT_ONCE = 1 << 20
_CONVERTIBLE = ("F64", "F32", "F16", "BF16", "MXFP4")
_WHOLE = ("general.", "tokenizer.", "adapter.")

# libllama adds these to activations, routes by them, or always reads them as F32.
_ALWAYS_F32 = (
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_inp_shexp.weight",
    "token_types.weight",
    "position_embd.weight",
    "patch_embd.weight",
    "mm.input_projection.weight",
)


def write(
    target: Path,
    architecture: str,
    values: Mapping[str, Value],
    tensors: Mapping[str, Tensor],
    on_bytes: Callable[[int, int], None],
) -> None:
    """Write `target`. Keys of `values` without a prefix in _WHOLE belong to the architecture.

    Raises BadRequest when a tensor's numbers do not fit its type.
    """
    kinds = {name: _kind(name, tensor) for name, tensor in tensors.items()}
    about: dict[str, Value] = {"general.architecture": architecture, "general.file_type": _file_type(kinds)}
    # The tokenizer comes last, because Ollama stops reading there.
    for key, value in sorted(values.items(), key=lambda item: item[0].startswith("tokenizer.")):
        about[key if key.startswith(_WHOLE) else f"{architecture}.{key}"] = value
    about["general.quantization_version"] = 2
    try:
        pairs = {key: encoded(value) for key, value in about.items() if value != []}
    except (OverflowError, struct.error) as error:  # a product of the configuration's numbers
        raise BadRequest(f"the configuration has a number that GGUF cannot store: {error}") from None
    stored = [
        StoredTensor(name, tensor.shape[::-1], kind, _size(tensor, kind), partial(_data, tensor, kind))
        for (name, tensor), kind in zip(tensors.items(), kinds.values(), strict=True)
    ]
    with target.open("wb") as out:
        write_gguf(out, pairs, stored, on_bytes=on_bytes)


def _kind(name: str, tensor: Tensor) -> Kind:
    """A tensor's stored type: vectors and some matrices F32, others F16, or BF16 if they are BF16."""
    if tensor.dtype not in _CONVERTIBLE:
        raise BadRequest(f"tensor {tensor.name} has the type {tensor.dtype}, which cannot be converted")
    if tensor.dtype == "MXFP4":
        return Kind.MXFP4
    if len(tensor.shape) == 1 or not name.endswith(".weight") or name.endswith(_ALWAYS_F32):
        return Kind.F32
    return Kind.BF16 if tensor.dtype == "BF16" else Kind.F16


def _file_type(kinds: Mapping[str, Kind]) -> LlamaFileType:
    used = set(kinds.values())
    if Kind.MXFP4 in used:
        return LlamaFileType.MOSTLY_MXFP4_MOE
    if Kind.BF16 in used:
        return LlamaFileType.MOSTLY_BF16
    return LlamaFileType.MOSTLY_F16 if Kind.F16 in used else LlamaFileType.ALL_F32


def _size(tensor: Tensor, kind: Kind) -> int:
    return prod(tensor.shape) // TENSOR_TYPES[kind].block * TENSOR_TYPES[kind].size


def _data(tensor: Tensor, kind: Kind) -> Iterator[bytes]:
    """The tensor's rows as `kind`, in parts of about a million weights."""
    fit = _WEIGHTS_AT_ONCE // max(1, prod(tensor.shape[1:]))
    rows = max(1, fit // tensor.step) * tensor.step
    for first in range(0, tensor.rows, rows):
        yield _encode(tensor, tensor.read(first, min(first + rows, tensor.rows)), kind)


def _encode(tensor: Tensor, part: Array, kind: Kind) -> bytes:
    if kind == Kind.MXFP4 or (kind == Kind.BF16 and tensor.dtype == "BF16"):
        return part.tobytes()
    values = decode_bf16(part, tensor.dtype)
    try:
        with np.errstate(over="raise"):
            return values.astype("<f4" if kind == Kind.F32 else "<f2").tobytes()
    except FloatingPointError:
        raise BadRequest(f"tensor {tensor.name} has weights too large for {kind.name}") from None
