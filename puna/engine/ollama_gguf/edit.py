"""The changes to a GGUF file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from puna.gguf import GGUFFile, Metadata, TensorInfo, decoded, i32, u32

_MAX = (1 << 32) - 1

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Derived:
    """A tensor that is derived from some of the file's."""

    names: tuple[str, ...]
    shape: tuple[int, ...]
    """In the file's order."""
    compute: Callable[..., Floats] | None = None
    """Makes it, in F32, of their values, whose axes are in numpy's order. None: their bytes, joined."""
    rows: Sequence[int] | None = None
    """Only these rows of the matrices, in this order; each is a part of its own. None: all."""


@dataclass
class Edit:
    """How to write a file from another one."""

    tensors: Mapping[str, str | Derived]
    """By new names, in the order of writing: the name of a tensor in the source, or what makes one."""
    values: dict[str, bytes] = field(default_factory=dict)
    """New or changed metadata values, encoded."""
    inherits: bool = True
    """Keep all metadata of the source."""
    vocabulary: int | None = None
    """The number of tokens to keep."""


def derived(file: GGUFFile, source: str | Derived) -> Derived:
    """`source` as a derived tensor, also if it is one of the file's as it is."""
    return source if isinstance(source, Derived) else Derived((source,), file.tensors[source].shape)


def edited_header(file: GGUFFile, edit: Edit) -> Metadata:
    """The header of what `edit` makes, before its data has a place: all offsets and sizes are 0."""
    tensors: list[TensorInfo] = []
    for name, source in edit.tensors.items():
        made = derived(file, source)
        kind = "F32" if made.compute else file.tensors[made.names[0]].type_name
        tensors.append(TensorInfo(name, made.shape, kind, 0, 0))
    values = {key: decoded(value) for key, value in edit.values.items()}
    return Metadata(
        (file.metadata.values if edit.inherits else {}) | values,
        tensors,
        parameter_count=sum(prod(tensor.shape) for tensor in tensors),
    )


def without(file: GGUFFile, *prefixes: str) -> dict[str, str | Derived]:
    """The tensors, with unchanged names, except those whose names begin with one of `prefixes`."""
    return {name: name for name in file.tensors if not name.startswith(prefixes)}


def as_f32(file: GGUFFile, name: str) -> Derived:
    """A tensor in F32."""
    return Derived((name,), file.tensors[name].shape, lambda values: values)


def joined(file: GGUFFile, *names: str) -> Derived:
    """Tensors of the same shape, joined along the last axis; in F32 if their types differ."""
    parts = [file.tensors[name] for name in names]
    *inner, outer = parts[0].shape
    shape = (*inner, outer * len(parts))
    if len({part.type_name for part in parts}) == 1:
        return Derived(names, shape)
    return Derived(names, shape, lambda *values: np.concatenate(values))


def copy_keys(file: GGUFFile, keys: Mapping[str, str]) -> dict[str, bytes]:
    """The file's values under new keys (new to old); missing ones are omitted."""
    values = {new: file.value(old) for new, old in keys.items()}
    return {new: value for new, value in values.items() if value is not None}


def copy_prefix(file: GGUFFile, old: str, new: str) -> dict[str, bytes]:
    """All values with the prefix `old`, under the prefix `new`."""
    keys = {new + key.removeprefix(old): key for key in file.metadata.values if key.startswith(old)}
    return copy_keys(file, keys)


def number(file: GGUFFile, key: str, default: int = 0) -> int:
    """A number from 0 to 2³² - 1; `default` when it is missing or something else."""
    value = file.metadata.get(key)
    return value if isinstance(value, int) and 0 <= value <= _MAX else default


def numbers(file: GGUFFile, key: str) -> list[int]:
    """A list of numbers from 0 to 2³¹ - 1; empty when it is missing or something else."""
    value = file.metadata.get(key)
    if not isinstance(value, list):
        return []
    return value if all(isinstance(item, int) and 0 <= item <= _MAX >> 1 for item in value) else []


def long_list(file: GGUFFile, key: str) -> list[Any]:
    """A list of any length; empty when it is missing or something else. Raises LoadFailed."""
    value = file.value(key)
    found = decoded(value, verbose=True) if value is not None else None
    return found if isinstance(found, list) else []


def four_sections(file: GGUFFile, old: str, new: str) -> dict[str, bytes]:
    """M-RoPE's three sections and an empty fourth, as libllama wants them; nothing if they are so already."""
    sections = numbers(file, old)
    four = [*sections[:3], 0]
    return {new: i32(four)} if len(sections) >= 3 and numbers(file, new) != four else {}


def collapsed(file: GGUFFile, key: str) -> dict[str, bytes]:
    """The greatest of a list with a number for each layer, as libllama wants it; nothing if it is no list."""
    greatest = max(numbers(file, key), default=0)
    return {key: u32(greatest)} if isinstance(file.metadata.get(key), list) and greatest else {}


def columns_rows(file: GGUFFile, tensor: str) -> tuple[int, int]:
    """The sizes of a matrix; zeros when it is missing."""
    matrix = file.tensors.get(tensor)
    columns, rows = (*matrix.shape, 1, 1)[:2] if matrix else (0, 0)
    return min(columns, _MAX), min(rows, _MAX)
