"""A file that is sent to the library and may break off: what has arrived is kept until all has.

The sender asks how much is there and goes on from that offset, as in tus (tus.io, core protocol).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

from puna.errors import PunaError
from puna.library.blobs import expect_digest
from puna.library.durable import write, writing
from puna.library.hashing import digest_of
from puna.library.lock import try_lock
from puna.library.store import Library

_SUFFIX = "-upload"


class WrongOffset(PunaError):
    """What is sent does not begin where the last one ended."""

    status = 409


def arrived(library: Library, digest: str) -> int:
    """How many bytes of an unfinished file are there. Raises BadRequest for what is no digest."""
    if not library.blob_path(digest).parent.is_dir():  # Nor is it made for a question.
        return 0
    try:
        return library.partial_blob(digest, _SUFFIX).stat().st_size
    except FileNotFoundError:
        return 0


def receive(library: Library, digest: str, offset: int, source: Iterable[bytes]) -> None:
    """Append what `source` yields to what is there, and make it the blob `digest`.

    When `source` fails, what came stays. Raises WrongOffset, also while another sends this blob; WrongDigest,
    after which nothing is there; PunaError.
    """
    path = library.partial_blob(digest, _SUFFIX)
    with writing(path.parent):
        opened = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "rb+", buffering=0)  # noqa: SIM115 - closed below
    with opened as file:
        if not try_lock(file.fileno()) or not _is_at(path, file):
            raise WrongOffset("this blob is being sent already")
        size = os.fstat(file.fileno()).st_size
        if offset != size:
            raise WrongOffset(f"{size} bytes have arrived, so the next is not at {offset}")
        file.seek(0, os.SEEK_END)
        for piece in source:
            with writing(path.parent):
                write(file.fileno(), piece)
        file.seek(0)
        found, _ = digest_of(file)
        try:
            expect_digest(digest, found)
        except PunaError:
            path.unlink()
            raise
        library.place_blob(path, found)


def _is_at(path: Path, file: FileIO) -> bool:
    """Whether an open file is still at `path`: who had its lock before may have made it the blob."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
