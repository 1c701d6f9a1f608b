"""Merges the parts of a GGUF file that llama.cpp's gguf-split has split.

Format: llama.cpp tools/gguf-split. The first part has the metadata, each part has its own tensors.
`split.no`, `split.count` and `split.tensors.count` connect the parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from puna.errors import BadRequest
from puna.gguf import TYPE_NUMBERS, GGUFFile, Metadata, StoredTensor, write

_NAME = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf")


class Shard(NamedTuple):
    """One of the files. `name` is its original name."""

    name: str
    path: Path
    metadata: Metadata


def split_count(metadata: Metadata) -> int:
    """The number of files of the model; 1 if it is not split."""
    return max(_number(metadata, "split.count") or 1, 1)


def stem(shard: Shard) -> str:
    """The common prefix of the parts' names. Raises BadRequest if name and header disagree."""
    match = _NAME.fullmatch(shard.name)
    if match is None:
        raise BadRequest(f'split GGUF "{shard.name}" must use llama.cpp split filename pattern')
    count, number = split_count(shard.metadata), _number(shard.metadata, "split.no")
    if int(match["count"]) != count:
        raise BadRequest(
            f'split GGUF "{shard.name}" filename count {int(match["count"])} does not match '
            f"metadata count {count}"
        )
    if number is None:
        raise BadRequest(f'split GGUF "{shard.name}" is missing split.no metadata')
    if int(match["number"]) - 1 != number:
        raise BadRequest(
            f'split GGUF "{shard.name}" filename index {int(match["number"]) - 1} does not match '
            f"metadata index {number}"
        )
    return match["stem"]


def order_shards(shards: Sequence[Shard]) -> list[Shard]:
    """The parts of one model in order. Raises BadRequest when one is missing or duplicate."""
    first = shards[0]
    count = split_count(first.metadata)
    if count != len(shards):
        raise BadRequest(f'split GGUF "{first.name}" has {len(shards)} shards, expected {count}')
    by_number = {_number(shard.metadata, "split.no"): shard for shard in shards}
    if missing := [number for number in range(count) if number not in by_number]:
        raise BadRequest(f'split GGUF "{first.name}" is missing shard {missing[0]}')
    parts = [by_number[number] for number in range(count)]
    tensors = [tensor.name for shard in parts for tensor in shard.metadata.tensors]
    promised = _number(parts[0].metadata, "split.tensors.count")
    if promised is not None and promised != len(tensors):
        raise BadRequest(f'split GGUF "{first.name}" has {len(tensors)} tensors, expected {promised}')
    if len(set(tensors)) != len(tensors):
        raise BadRequest(f'split GGUF "{first.name}" has a tensor twice')
    return parts


def merge(parts: Sequence[Shard], target: Path, on_bytes: Callable[[int, int], None]) -> None:
    """Write the model of these `order_shards` parts to `target`, a mebibyte at a time.

    `on_bytes(done, total)` counts tensor bytes; an error raised in it stops the work. Raises BadRequest for
    a tensor of unknown type, OSError.
    """
    for part in parts:
        for tensor in part.metadata.tensors:
            if tensor.type_name not in TYPE_NUMBERS:
                raise BadRequest(f"{part.name}: tensor {tensor.name} has an unknown type")
    with ExitStack() as stack:
        files = [stack.enter_context(GGUFFile(part.path)) for part in parts]
        first, about_split = files[0], _about_split(parts[0].metadata.architecture)
        values = {key: value for key, value in first.values().items() if key not in about_split}
        tensors = [
            StoredTensor(
                tensor.name,
                tensor.shape,
                TYPE_NUMBERS[tensor.type_name],
                tensor.size,
                partial(file.data, tensor),
            )
            for file in files
            for tensor in file.metadata.tensors
        ]
        with open(target, "xb") as out:
            write(out, values, tensors, first.metadata.alignment, on_bytes)


def _number(metadata: Metadata, key: str) -> int | None:
    value = metadata.get(key, metadata.arch(key))
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _about_split(architecture: str) -> set[str]:
    """The keys that only describe the split."""
    keys = ("split.no", "split.count", "split.tensors.count")
    return {prefix + key for prefix in ("", f"{architecture}.") for key in keys}
