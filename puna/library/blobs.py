"""Blobs: files named by the SHA-256 of what they hold, in Ollama's layout (`blobs/sha256-<hex>`)."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from puna.library.durable import aside, move, write, writing
from puna.types import BadRequest

STALE = 3600.0
"""Seconds after which an unfinished file, or a blob no manifest names, is nobody's work in progress."""

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_CHUNK = 1 << 20


class Blobs:
    """The blobs in one folder, which is made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob with this digest lies or would lie. Raises BadRequest unless "sha256:<64 hex>"."""
        written = _DIGEST.fullmatch(digest)
        if written is None:
            raise BadRequest("invalid digest format")
        return self.folder / f"sha256-{written[1].lower()}"

    def temporary(self) -> AbstractContextManager[Path]:
        """A path here for a file being made, removed at the end unless `adopt` took it."""
        return aside(self.folder, "sha256-")

    def add(
        self,
        source: BinaryIO | Iterable[bytes],
        *,
        expected: str | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> tuple[str, int]:
        """Store what `source` yields; its digest ("sha256:<hex>") and size in bytes.

        `on_bytes` gets the bytes written so far, after each piece. Raises BadRequest when the digest is not
        the `expected` one, PunaError when the disk is full; then, as when `source` fails, nothing is left.
        """
        wanted = self.path(expected) if expected else None
        hasher, size = hashlib.sha256(), 0
        with self.temporary() as path:
            with writing(self.folder):
                file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed below, after the source's own errors
            with file:
                for chunk in _chunks(source):
                    with writing(self.folder):
                        write(file.fileno(), chunk)
                    hasher.update(chunk)
                    size += len(chunk)
                    if on_bytes:
                        on_bytes(size)
                digest = f"sha256:{hasher.hexdigest()}"
                if wanted and wanted != self.path(digest):
                    raise BadRequest(f'digest mismatch, expected "{expected}", got "{digest}"')
                with writing(self.folder):
                    os.fsync(file.fileno())
            return self._keep(path, digest, size)

    def adopt(self, path: Path) -> tuple[str, int]:
        """Turn a file made at a `temporary` path into a blob; its digest and size. Raises PunaError."""
        if path.parent != self.folder:
            raise ValueError(f"{path} was not made in {self.folder}")
        hasher, size = hashlib.sha256(), 0
        with writing(self.folder), open(path, "rb+") as file:
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
                size += len(chunk)
            os.fsync(file.fileno())
        return self._keep(path, f"sha256:{hasher.hexdigest()}", size)

    def remove(self, digest: str) -> None:
        """Remove a blob if it is there. Raises PunaError."""
        with writing(self.folder):
            self.path(digest).unlink(missing_ok=True)

    def prune(self, used: Collection[Path] | None) -> None:
        """Remove files older than `STALE`: unfinished ones, and blobs not in `used` unless it is None."""
        with writing(self.folder):
            for entry in _files(self.folder):
                blob = _DIGEST.fullmatch(entry.name) is not None
                keep = blob and (used is None or Path(entry.path) in used)
                if not keep and time.time() - entry.stat().st_mtime > STALE:
                    Path(entry.path).unlink(missing_ok=True)

    def _keep(self, path: Path, digest: str, size: int) -> tuple[str, int]:
        # Over one that is there too: what was just hashed is whole, the other may have been damaged.
        with writing(self.folder):
            move(path, self.path(digest))
        return digest, size


def _chunks(source: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    read = getattr(source, "read", None)
    return iter(lambda: read(_CHUNK), b"") if read else iter(source)


def _files(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []
