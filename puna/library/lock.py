"""File locks, released when the process ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_AGAIN = 0.01  # seconds
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
"""Errors of file systems without locks. There only one process can use a store safely."""


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the file at `path`, created if missing; waits for it. Raises OSError."""
    file = _open(path)
    try:
        while not try_lock(file):
            time.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(file)


def is_locked(path: Path) -> bool:
    """Whether the file at `path` exists and is locked. Raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # NFS refuses an exclusive lock of a file that is open for reading alone.
        return not try_lock(file, shared=True)
    finally:
        os.close(file)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        # Another user's file can be locked if it is readable. A read-only store fails on the first write.
        return os.open(path, os.O_RDONLY)


if sys.platform == "win32":
    import msvcrt

    def try_lock(file: int, *, shared: bool = False) -> bool:
        """Take the lock of an open file if it is free; closing the file releases it. Windows has one kind."""
        try:
            os.lseek(file, 0, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def try_lock(file: int, *, shared: bool = False) -> bool:
        """Take the lock of an open file if it is free; closing the file releases it.

        A `shared` lock excludes only exclusive ones.
        """
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return True
