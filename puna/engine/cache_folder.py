"""Folders of cached files that engines share: files are whole or absent, and some of the disk stays free."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PARTIAL = ".partial"

_ABANDONED = 3600.0
"""Seconds after which a partial file counts as abandoned."""

_FREE = 20
"""One part in this many of the disk stays free for other programs."""


def cached_files(folder: Path, pattern: str) -> dict[Path, os.stat_result]:
    """The files that match, also those being written. Abandoned partial files are deleted."""
    files: dict[Path, os.stat_result] = {}
    for path in folder.glob(pattern):
        with suppress(OSError):
            state = path.stat()
            if path.suffix == _PARTIAL and time.time() - state.st_mtime > _ABANDONED:
                path.unlink()
            else:
                files[path] = state
    return files


def size_limit(folder: Path, limit: int, used: int) -> int:
    """Bytes that files may take, which now take `used`: `limit`, or less on a full disk. Raises OSError."""
    disk = shutil.disk_usage(folder)
    return min(limit, used + disk.free - disk.total // _FREE)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """The path of a partial file to write in the block; it becomes `path` if the block succeeds."""
    aside = path.with_suffix(f".{os.getpid()}{_PARTIAL}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
