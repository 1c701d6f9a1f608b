"""The format of a segment's file.

A fixed head (magic, version, size and CRC-32 of the header, uses, tokens, parent), the header in
MessagePack, then the segment's KV as libllama serialises it, its snapshots, and the logits at the prompt's
end. The header has the contents' CRC-32. No CRC covers the head's last three fields, which only tell how
much the file is worth.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from puna.engine.memory.sequence_memory import Snapshot

_MAGIC = b"punakv\r\n"
_VERSION = 2
_HEAD = struct.Struct("<8s5I16s")
_NAME = 16
"""Bytes."""
_USES_AT = 20
_USES = struct.Struct("<I")
_MAX_USES = 2**32 - 1
_MAX_HEADER = 1 << 28


class Unusable(Exception):
    """A file cannot be read; the message says why."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Describes a file's contents; sizes in bytes."""

    model: str
    """A digest of the model and the build that computed it; others cannot use it."""
    owner: str
    """A digest of the prefix's owner."""
    parent: str
    """The name of the segment before it; empty for the first."""
    begin: int
    """Its first token; the parent and its parents have those before."""
    tokens: bytes
    """int32, one for each token of the segment."""
    prompt_tokens: int
    """Of the whole sequence."""
    saved: int
    """Of the KV."""
    snapshots: tuple[tuple[int, int], ...]
    """Length in tokens, and size, of each."""
    logits: int
    checksum: int = 0

    @property
    def name(self) -> str:
        """The file's name: a digest of all that determines its KV, except the model."""
        prefix = f"{self.owner}\n{self.parent}\n{self.begin}\n".encode()
        return hashlib.blake2b(prefix + self.tokens, digest_size=_NAME).hexdigest()

    @property
    def size(self) -> int:
        return self.saved + sum(size for _, size in self.snapshots) + self.logits


@dataclass(frozen=True, eq=False)
class Contents:
    """A segment, with the snapshots within it."""

    kv: NDArray[np.uint8]
    snapshots: list[Snapshot] = field(default_factory=list)
    logits: NDArray[np.float32] | None = None
    """At the prompt's end."""

    def parts(self) -> Iterator[memoryview]:
        yield self.kv.data
        for snapshot in self.snapshots:
            yield snapshot.data.data
        if self.logits is not None:
            yield self.logits.view(np.uint8).data

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts())


def write(file: BinaryIO, header: Header, contents: Contents, *, uses: int) -> None:
    """Write a whole file, with the contents' checksum in its header. Raises OSError."""
    checksum = 0
    for part in contents.parts():
        checksum = zlib.crc32(part, checksum)
    encoded = msgspec.msgpack.encode(msgspec.structs.replace(header, checksum=checksum))
    uses, tokens, parent = min(uses, _MAX_USES), len(header.tokens) // 4, bytes.fromhex(header.parent)
    file.write(_HEAD.pack(_MAGIC, _VERSION, len(encoded), zlib.crc32(encoded), uses, tokens, parent))
    file.write(encoded)
    for part in contents.parts():
        file.write(part)


def read_header(file: BinaryIO) -> Header:
    """Read the header, and check the file's size. Raises Unusable, OSError."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise Unusable("it is cut off")
    magic, version, size, checksum, *_ = _HEAD.unpack(head)
    if magic != _MAGIC:
        raise Unusable("it is no file of this cache")
    if version != _VERSION:
        raise Unusable(f"its format has version {version}, not {_VERSION}")
    encoded = file.read(min(size, _MAX_HEADER))
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
    """Read a whole file. Raises Unusable, OSError."""
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
    """Count one more use of a file. Its modification time is then that of its last use.

    Raises Unusable, OSError.
    """
    with open(path, "r+b", buffering=0) as file:
        file.seek(_USES_AT)
        stored = file.read(_USES.size)
        if len(stored) < _USES.size:
            raise Unusable("it is cut off")
        (uses,) = _USES.unpack(stored)
        file.seek(_USES_AT)
        file.write(_USES.pack(min(uses + 1, _MAX_USES)))


class Worth(NamedTuple):
    """What tells how much a file is worth, from its head."""

    uses: int = 0
    tokens: int = 0
    parent: str = ""


def worth(path: Path) -> Worth:
    """A file's worth; none if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            magic, *_, uses, tokens, parent = _HEAD.unpack(file.read(_HEAD.size))
    except (OSError, struct.error):
        return Worth()
    return Worth(uses, tokens, parent.hex() if any(parent) else "") if magic == _MAGIC else Worth()
