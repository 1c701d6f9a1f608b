"""Sends files to a server's store: hashed first, uploaded if missing there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from puna.cli.connection import CommandFailed
from puna.cli.sources import read_errors

if TYPE_CHECKING:
    from puna.cli.client import Client

PIECE = 1 << 20
"""Bytes of a read, small enough to stay in the CPU cache until they are hashed."""

ReportBytes = Callable[[int], None]
"""Gets the number of processed bytes of a file."""


def size_of(path: Path) -> int:
    """In bytes. Raises CommandFailed."""
    with read_errors(path):
        return path.stat().st_size


def digest_of(path: Path, report: ReportBytes) -> str:
    """The file's "sha256:<hex>". Raises CommandFailed when it cannot be read."""
    hasher, buffer, done = hashlib.sha256(), memoryview(bytearray(PIECE)), 0
    with read_errors(path), path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hasher.update(buffer[:count])
            done += count
            report(done)
    return f"sha256:{hasher.hexdigest()}"


def send(client: Client, path: Path, digest: str, report: ReportBytes, *, in_place: bool) -> None:
    """Ensure that the server has the blob `digest`, the content of `path`.

    `in_place`: first ask the server to import the file. If it declines, upload the bytes, because the address
    may be a tunnel to a machine with another file system. Raises CommandFailed if the file cannot be read or
    shrank after it was hashed, and the client's errors.
    """
    if not client.has_blob(digest) and not (
        in_place and client.offer_blob(digest, quote(os.fsencode(path.resolve())))
    ):
        client.send_blob(digest, size_of(path), _pieces(path, report))
    report(size_of(path))


def _pieces(path: Path, report: ReportBytes) -> Iterator[bytes]:
    size = left = size_of(path)
    with read_errors(path):
        file = path.open("rb", buffering=0)
    with file:
        while left:
            with read_errors(path):
                piece = file.read(min(PIECE, left))
            if not piece:
                raise CommandFailed(f"{path}: shrank while it was sent")
            left -= len(piece)
            yield piece
            report(size - left)
