"""GGUF headers written byte by byte, so that they can be wrong."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from puna.gguf import Metadata, read_metadata

MAGIC = b"GGUF"


def header(version: int = 3, tensors: int = 0, entries: int = 0, magic: bytes = MAGIC) -> bytes:
    return magic + struct.pack("<IQQ", version, tensors, entries)


def text(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def entry(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(name: bytes, shape: list[int], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def read(path: Path, content: bytes, **how: Any) -> Metadata:
    path.write_bytes(content)
    return read_metadata(path, **how)


HUGE = 2**64 - 1
ALIGNMENT = b"general.alignment"
