"""Resumable uploads to the library. An interrupted upload keeps the received bytes.

The sender queries the offset and continues from it, as in tus (tus.io, core protocol).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

from puna.errors import PunaError
from puna.library.blobs import expect_digest
from puna.library.durable import write, write_errors
from puna.library.hashing import digest_of
from puna.library.lock import try_lock
from puna.library.store import Library

_SUFFIX = "-upload"


class WrongOffset(PunaError):
    """The data does not begin at the end of the received bytes."""

    status = 409


def upload_offset(library: Library, digest: str) -> int:
    """The number of received bytes of an unfinished upload. Raises BadRequest for an invalid digest."""
    if not library.blobs.path(digest).parent.is_dir():  # A query must not create the file.
        return 0
    try:
        return library.blobs.partial(digest, _SUFFIX).stat().st_size
    except FileNotFoundError:
        return 0


def receive(library: Library, digest: str, offset: int, source: Iterable[bytes]) -> None:
    """Append the bytes of `source` to the upload, and turn it into the blob `digest`.

    If `source` fails, the received bytes stay. Raises WrongOffset, also while another client sends this blob;
    WrongDigest, which deletes the upload; PunaError.
    """
    path = library.blobs.partial(digest, _SUFFIX)
    with write_errors(path.parent):
        partial = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "rb+", buffering=0)  # noqa: SIM115 - closed below
    with partial as file:
        if not try_lock(file.fileno()) or not _is_at(path, file):
            raise WrongOffset("this blob is being sent already")
        size = os.fstat(file.fileno()).st_size
        if offset != size:
            raise WrongOffset(f"{size} bytes have arrived, so the next is not at {offset}")
        file.seek(0, os.SEEK_END)
        for piece in source:
            with write_errors(path.parent):
                write(file.fileno(), piece)
        file.seek(0)
        received, _ = digest_of(file)
        try:
            expect_digest(digest, received)
        except PunaError:
            path.unlink()
            raise
        library.blobs.place(path, received)


def _is_at(path: Path, file: FileIO) -> bool:
    """Whether an open file is still at `path`: the lock's last holder may have turned it into the blob."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
