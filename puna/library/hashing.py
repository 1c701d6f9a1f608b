"""SHA-256 of files, a megabyte at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from puna.errors import PunaError
from puna.library.durable import write

_CHUNK = 1 << 20


def digest_of(
    file: FileIO, on_bytes: Callable[[int], None] | None = None, copy: int | None = None
) -> tuple[str, int]:
    """The digest and size of the rest of a file; also copies it to the open file `copy`.

    `on_bytes` gets the number of bytes read so far. Raises PunaError if reading fails, OSError if copying
    fails.
    """
    hasher, size = hashlib.sha256(), 0
    view = memoryview(bytearray(_CHUNK))
    while count := _read_into(file, view):
        if copy is not None:
            write(copy, view[:count])
        hasher.update(view[:count])
        size += count
        if on_bytes:
            on_bytes(size)
    return f"sha256:{hasher.hexdigest()}", size


def _read_into(file: FileIO, room: memoryview) -> int:
    try:
        return file.readinto(room) or 0
    except OSError as error:
        raise PunaError(f"cannot read {file.name}: {error.strerror}") from error


def digest_of_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> tuple[str, int]:
    """The digest and size of the file at `path`. Raises OSError, PunaError."""
    with open(path, "rb", buffering=0) as file:
        return digest_of(file, on_bytes)
