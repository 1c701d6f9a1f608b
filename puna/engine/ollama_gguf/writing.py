"""Writes a GGUF file as an `Edit` of another one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import BinaryIO

import numpy as np

from puna.engine.ollama_gguf.edit import Edit
from puna.errors import LoadFailed
from puna.gguf import TYPE_NUMBERS, GGUFFile, StoredTensor, truncate_array, write

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
    write(out, values, [_stored_tensor(file, name, old, edit) for name, old in edit.tensors.items()])


def _stored_tensor(file: GGUFFile, name: str, old: str, edit: Edit) -> StoredTensor:
    tensor = file.tensors[old]
    if tensor.type_name not in TYPE_NUMBERS:
        raise LoadFailed(f"unable to load model: tensor {old} has an unknown type")
    as_f32 = _AS_F32.get(tensor.type_name) if name in edit.to_f32 else None
    if as_f32 is None:
        data = partial(file.data, tensor, _PIECE)
        return StoredTensor(name, tensor.shape, TYPE_NUMBERS[tensor.type_name], tensor.size, data)
    size = prod(tensor.shape) * 4
    return StoredTensor(name, tensor.shape, _F32, size, lambda: map(as_f32, file.data(tensor, _PIECE)))


_AS_F32: dict[str, Callable[[bytes], bytes]] = {
    "F16": lambda data: np.frombuffer(data, "<f2").astype("<f4").tobytes(),
    "BF16": lambda data: (np.frombuffer(data, "<u2").astype("<u4") << 16).tobytes(),
}
