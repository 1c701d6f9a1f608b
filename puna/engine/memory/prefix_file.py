"""The format of a file that holds one sequence's memory, and with it all that decides who may use it.

A fixed head (magic, version, bytes and CRC-32 of the header, uses, tokens), the header in MessagePack, then
what the sequence holds: libllama's copy of it, its snapshots, and the logits at its prompt's end. The header
has the contents' CRC-32. `uses` and `tokens` only say what a file is worth, so no CRC has them.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from puna.engine.memory.held import Snapshot

_MAGIC = b"punakv\r\n"
_VERSION = 1
_HEAD = struct.Struct("<8s5I")
_USES_AT = 20
_USES = struct.Struct("<I")
_MOST_USES = 2**32 - 1
_LARGEST_HEADER = 1 << 28


class Unusable(Exception):
    """A file that nothing can be read from, and why."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of its contents; sizes in bytes."""

    model: str
    """What made these numbers: another model's, or another build's, mean nothing here."""
    owner: str
    """A digest of whose prefix it is."""
    tokens: bytes
    """int32, one for each token held."""
    prompt_tokens: int
    saved: int
    snapshots: tuple[tuple[int, int], ...]
    """Tokens and size of each."""
    logits: int
    checksum: int

    @property
    def size(self) -> int:
        return self.saved + sum(size for _, size in self.snapshots) + self.logits


@dataclass(frozen=True, eq=False)
class Contents:
    """What a sequence holds outside the pool."""

    saved: NDArray[np.uint8]
    snapshots: list[Snapshot] = field(default_factory=list)
    logits: NDArray[np.float32] | None = None
    """At the prompt's end."""

    def parts(self) -> Iterator[memoryview]:
        yield self.saved.data
        for snapshot in self.snapshots:
            yield snapshot.data.data
        if self.logits is not None:
            yield self.logits.view(np.uint8).data

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts())


def write(
    file: BinaryIO,
    contents: Contents,
    *,
    model: str,
    owner: str,
    tokens: bytes,
    prompt_tokens: int,
    uses: int,
) -> None:
    """Write a whole file. Raises OSError."""
    checksum = 0
    for part in contents.parts():
        checksum = zlib.crc32(part, checksum)
    header = msgspec.msgpack.encode(
        Header(
            model=model,
            owner=owner,
            tokens=tokens,
            prompt_tokens=prompt_tokens,
            saved=contents.saved.nbytes,
            snapshots=tuple((snapshot.length, snapshot.data.nbytes) for snapshot in contents.snapshots),
            logits=0 if contents.logits is None else contents.logits.nbytes,
            checksum=checksum,
        )
    )
    uses = min(uses, _MOST_USES)
    file.write(_HEAD.pack(_MAGIC, _VERSION, len(header), zlib.crc32(header), uses, len(tokens) // 4))
    file.write(header)
    for part in contents.parts():
        file.write(part)


def read_header(file: BinaryIO) -> Header:
    """The header of a file that is whole, as far as its size tells. Raises Unusable, OSError."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise Unusable("it is cut off")
    magic, version, size, checksum, _, _ = _HEAD.unpack(head)
    if magic != _MAGIC:
        raise Unusable("it is no file of this cache")
    if version != _VERSION:
        raise Unusable(f"its format has version {version}, not {_VERSION}")
    encoded = file.read(min(size, _LARGEST_HEADER))
    if len(encoded) < size or zlib.crc32(encoded) != checksum:
        raise Unusable("its header is damaged")
    try:
        header = msgspec.msgpack.decode(encoded, type=Header)
    except msgspec.MsgspecError as error:
        raise Unusable("its header is damaged") from error
    if os.fstat(file.fileno()).st_size != file.tell() + header.size:
        raise Unusable("it is cut off")
    return header


def read(file: BinaryIO) -> tuple[Header, Contents]:
    """All of a file. Raises Unusable, OSError."""
    header = read_header(file)
    checksum = 0

    def part(size: int) -> NDArray[np.uint8]:
        nonlocal checksum
        data = np.empty(size, np.uint8)
        if file.readinto(data.data) < size:  # pyright: ignore[reportAttributeAccessIssue]
            raise Unusable("it is cut off")
        checksum = zlib.crc32(data.data, checksum)
        return data

    contents = Contents(
        part(header.saved),
        [Snapshot(length, part(size)) for length, size in header.snapshots],
        part(header.logits).view(np.float32) if header.logits else None,
    )
    if checksum != header.checksum:
        raise Unusable("it is damaged")
    return header, contents


def count_use(path: Path) -> None:
    """One more has been served by a file, which is now the latest used. Raises OSError."""
    with open(path, "r+b", buffering=0) as file:
        file.seek(_USES_AT)
        (uses,) = _USES.unpack(file.read(_USES.size))
        file.seek(_USES_AT)
        file.write(_USES.pack(min(uses + 1, _MOST_USES)))


def uses_and_tokens(path: Path) -> tuple[int, int]:
    """How often a file was used, and how many tokens it holds; none for what cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            magic, *_, uses, tokens = _HEAD.unpack(file.read(_HEAD.size))
    except (OSError, struct.error):
        return 0, 0
    return (uses, tokens) if magic == _MAGIC else (0, 0)
