"""Pins: a pinned blob has an mtime in the future, so that no Puna process removes it."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

STALE = 3600.0
"""Seconds after which an unfinished file, or a blob without a manifest, may be removed."""


class Pins:
    """The blobs that this process pinned, and those that it created."""

    def __init__(self) -> None:
        self._pinned: dict[Path, int] = {}
        self._created: dict[Path, int] = {}
        """New blobs that no request has named since, with their mtime in nanoseconds."""

    def add(self, path: Path, blob: Path) -> None:
        """Pin the file at `path`, which is or will be `blob`. Raises OSError.

        A hard-linked file keeps its mtime; a new ctime protects it from pruning.
        """
        state = path.stat()
        if state.st_nlink > 1 or path.is_symlink():
            with suppress(OSError):  # The file may be another user's, in a shared store.
                path.chmod(stat.S_IMODE(state.st_mode))
        else:
            now, before = time.time_ns(), _mtime(blob)
            until = now + int(STALE * 1e9)
            os.utime(path, ns=(until, until))
            stamp = path.stat().st_mtime_ns
            if before:
                self._created.pop(blob, None)
            else:
                self._created[blob] = stamp
            if before <= now or before == self._pinned.get(blob):
                self._pinned[blob] = stamp
            else:
                self._pinned.pop(blob, None)  # Another process pinned it, too, so this one must not unpin it.

    def remove(self, blob: Path) -> None:
        """Unpin a blob, unless another process also pinned it."""
        self._created.pop(blob, None)
        with suppress(OSError):
            if self._pinned.pop(blob, None) == blob.stat().st_mtime_ns:
                os.utime(blob)

    def is_new(self, blob: Path) -> bool:
        """Whether this process created the blob, and no manifest or request has named it since."""
        return blob in self._created and self._created[blob] == _mtime(blob)


def is_pinned(state: os.stat_result) -> bool:
    """Whether a blob is pinned. Hard-linked files never are."""
    return state.st_nlink == 1 and state.st_mtime > time.time()


def last_change(state: os.stat_result) -> float:
    """When a blob was last written or pinned, in seconds since 1970. Hard-linked files keep their mtime."""
    return state.st_ctime if state.st_nlink > 1 else state.st_mtime


def _mtime(path: Path) -> int:
    """A file's mtime in nanoseconds; 0 if it is missing. Raises OSError."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
