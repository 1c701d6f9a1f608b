"""Writes a GGUF file as an `Edit` of another one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod
from typing import BinaryIO

import numpy as np

from puna.engine.ollama_gguf.edit import Edit, Floats, Made
from puna.errors import LoadFailed
from puna.gguf import TYPE_NUMBERS, GGUFFile, StoredTensor, TensorInfo, truncate_array, write

_PIECE = 8 << 20
_F32 = 0  # ggml_type
_VOCABULARY = ("scores", "token_type", "tokens")


def write_edited(file: GGUFFile, edit: Edit, out: BinaryIO) -> None:
    """Write the file. Raises OSError, and LoadFailed for a tensor of unknown type."""
    values = (file.values() if edit.inherits else {}) | edit.values
    values.pop("general.alignment", None)  # the written file has the default
    if edit.vocabulary is not None:
        for key in (f"tokenizer.ggml.{name}" for name in _VOCABULARY):
            if key in values:
                values[key] = truncate_array(values[key], edit.vocabulary)
    write(out, values, [_stored_tensor(file, name, source) for name, source in edit.tensors.items()])


def _stored_tensor(file: GGUFFile, name: str, source: str | Made) -> StoredTensor:
    if isinstance(source, str):
        source = Made((source,), file.tensors[source].shape)
    parts = [file.tensors[part] for part in source.names]
    for part in parts:
        if part.type_name not in TYPE_NUMBERS:
            raise LoadFailed(f"unable to load model: tensor {part.name} has an unknown type")
    if source.compute is not None:
        made = partial(_computed, file, parts, source)
        return StoredTensor(name, source.shape, _F32, prod(source.shape) * 4, made)
    kind = TYPE_NUMBERS[parts[0].type_name]
    size = sum(part.size for part in parts) * prod(source.shape) // sum(prod(part.shape) for part in parts)
    return StoredTensor(name, source.shape, kind, size, partial(_copied, file, parts, size))


def _copied(file: GGUFFile, parts: list[TensorInfo], size: int) -> Iterator[bytes]:
    for part in parts:
        for piece in file.data(part, _PIECE):
            yield piece[:size]
            size -= len(piece[:size])


def _computed(file: GGUFFile, parts: list[TensorInfo], source: Made) -> Iterator[bytes]:
    assert source.compute is not None
    made = source.compute(*(_values(file, part) for part in parts))
    yield np.ascontiguousarray(made, "<f4").tobytes()


def _values(file: GGUFFile, tensor: TensorInfo) -> Floats:
    """The tensor's values; the last axis of its shape comes first. Raises LoadFailed."""
    from gguf import GGMLQuantizationType, quants

    packed = np.frombuffer(b"".join(file.data(tensor)), np.uint8).reshape(prod(tensor.shape[1:]), -1)
    try:
        return quants.dequantize(packed, GGMLQuantizationType[tensor.type_name]).reshape(tensor.shape[::-1])
    except (KeyError, NotImplementedError):
        problem = f"tensor {tensor.name} cannot be converted from {tensor.type_name}"
        raise LoadFailed(f"unable to load model: {problem}") from None
