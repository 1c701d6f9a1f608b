"""A GGUF file cut into several by llama.cpp's gguf-split, made one again.

Format: llama.cpp tools/gguf-split: the first part has the metadata, each has tensors of its own, and
`split.no`, `split.count` and `split.tensors.count` say what belongs together.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from puna.library.gguf_bytes import METADATA_AT, after_string, entries, tensor_infos
from puna.library.gguf_types import TENSOR_TYPES
from puna.library.metadata import Metadata
from puna.types import BadRequest

_NAME = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf")
_CHUNK = 1 << 20
_ALIGNMENT = 32  # bytes; GGUF's default
_TYPES = {kind.name: number for number, kind in TENSOR_TYPES.items()}


class Shard(NamedTuple):
    """One of the files. `name` is what its maker calls it."""

    name: str
    path: Path
    metadata: Metadata


def split_count(metadata: Metadata) -> int:
    """How many files the model was cut into; 1 when it is whole."""
    return max(_number(metadata, "split.count") or 1, 1)


def stem(shard: Shard) -> str:
    """What the names of all its parts begin with. Raises BadRequest when name and header disagree."""
    named = _NAME.fullmatch(shard.name)
    if named is None:
        raise BadRequest(f'split GGUF "{shard.name}" must use llama.cpp split filename pattern')
    count, number = split_count(shard.metadata), _number(shard.metadata, "split.no")
    if int(named["count"]) != count:
        raise BadRequest(
            f'split GGUF "{shard.name}" filename count {int(named["count"])} does not match '
            f"metadata count {count}"
        )
    if number is None:
        raise BadRequest(f'split GGUF "{shard.name}" is missing split.no metadata')
    if int(named["number"]) - 1 != number:
        raise BadRequest(
            f'split GGUF "{shard.name}" filename index {int(named["number"]) - 1} does not match '
            f"metadata index {number}"
        )
    return named["stem"]


def ordered(shards: Sequence[Shard]) -> list[Shard]:
    """The parts of one model, first to last. Raises BadRequest when one is missing or twice there."""
    first = shards[0]
    count = split_count(first.metadata)
    if count != len(shards):
        raise BadRequest(f'split GGUF "{first.name}" has {len(shards)} shards, expected {count}')
    found = {_number(shard.metadata, "split.no"): shard for shard in shards}
    if missing := [number for number in range(count) if number not in found]:
        raise BadRequest(f'split GGUF "{first.name}" is missing shard {missing[0]}')
    parts = [found[number] for number in range(count)]
    tensors = [tensor.name for shard in parts for tensor in shard.metadata.tensors]
    promised = _number(parts[0].metadata, "split.tensors.count")
    if promised is not None and promised != len(tensors):
        raise BadRequest(f'split GGUF "{first.name}" has {len(tensors)} tensors, expected {promised}')
    if len(set(tensors)) != len(tensors):
        raise BadRequest(f'split GGUF "{first.name}" has a tensor twice')
    return parts


def merge(parts: Sequence[Shard], target: Path, on_bytes: Callable[[int, int], None]) -> None:
    """Write the model whose `ordered` parts these are to `target`, a mebibyte at a time.

    `on_bytes(done, total)` counts tensor bytes; an error raised in it stops the work. Raises BadRequest for
    a tensor of a type nobody knows the size of, OSError.
    """
    for part in parts:
        for tensor in part.metadata.tensors:
            if tensor.type_name not in _TYPES:
                raise BadRequest(f"{part.name}: tensor {tensor.name} has an unknown type")
    kept, alignment = _entries(parts[0])
    tensors = [tensor for part in parts for tensor in part.metadata.tensors]
    done, total = 0, sum(tensor.size for tensor in tensors)
    with open(target, "xb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(kept)))
        out.writelines(kept)
        infos = ((tensor.name, tensor.shape, _TYPES[tensor.type_name], tensor.size) for tensor in tensors)
        out.write(tensor_infos(infos, alignment))
        for part in parts:
            start = _data_start(part)
            with open(part.path, "rb") as source:
                for tensor in part.metadata.tensors:
                    out.write(bytes(-out.tell() % alignment))
                    source.seek(start + tensor.offset)
                    for count in _copied(source, out, tensor.size):
                        done += count
                        on_bytes(done, total)
        out.write(bytes(-out.tell() % alignment))


def _copied(source: BinaryIO, out: BinaryIO, size: int) -> Iterator[int]:
    while size:
        piece = source.read(min(size, _CHUNK))
        if not piece:
            raise OSError("the file became shorter")
        out.write(piece)
        size -= len(piece)
        yield len(piece)


def _number(metadata: Metadata, key: str) -> int | None:
    value = metadata.get(key, metadata.arch(key))
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _entries(shard: Shard) -> tuple[list[bytes], int]:
    """The metadata entries as they lie in the file, those about the split left out, and the alignment."""
    architecture = shard.metadata.architecture
    about_split = {
        f"{prefix}{key}".encode()
        for prefix in ("", f"{architecture}.")
        for key in ("split.no", "split.count", "split.tensors.count")
    }
    with open(shard.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as header:
        kept = [header[entry.start : entry.end] for entry in entries(header) if entry.key not in about_split]
    return kept, shard.metadata.get("general.alignment", _ALIGNMENT)


def _data_start(shard: Shard) -> int:
    """Where the tensor data begins: behind the header, aligned."""
    with open(shard.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as header:
        at = max((entry.end for entry in entries(header)), default=METADATA_AT)
        for tensor in shard.metadata.tensors:
            at = after_string(header, at) + struct.calcsize(f"<I{len(tensor.shape)}QIQ")
    alignment = shard.metadata.get("general.alignment", _ALIGNMENT)
    return -(-at // alignment) * alignment
