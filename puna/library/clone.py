"""Clones a file without copying it: by reflink where the file system supports that, else by hard link."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_FICLONE = 0x40049409
"""ioctl_ficlone(2): the target shares the source's blocks until one of them is written to."""


def reflink(source: int, target: Path) -> bool:
    """Make `target` a reflink of the open file `source`; False if that is impossible."""
    if sys.platform != "linux":
        return False
    import fcntl

    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.ioctl(file, _FICLONE, source)
    except OSError:  # Unsupported by this file system, or between these two.
        os.unlink(target)
        return False
    finally:
        os.close(file)
    return True


def hard_link(path: Path, source: int, target: Path) -> bool:
    """Make `target` a hard link to the file at `path`, open as `source`; False if that is impossible."""
    try:
        os.link(path.resolve(strict=True), target)
    except (OSError, RuntimeError):  # Another file system, one without links, or another user's file.
        return False
    if os.path.samestat(os.fstat(source), os.stat(target)):
        return True
    with suppress(OSError):
        os.unlink(target)  # `path` names another file by now.
    return False
