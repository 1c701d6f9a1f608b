"""Atomic, durable writes: to a temporary file, synced, renamed."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from puna.errors import PunaError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNSYNCED = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP, errno.EACCES, errno.EISDIR}
"""Ignored errors of fsync on folders, on network file systems or unreadable folders (PostgreSQL's fd.c)."""


@contextmanager
def write_errors(folder: Path) -> Iterator[None]:
    """Turns an OSError of a write below `folder` into a PunaError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise PunaError(f"not enough disk space in {folder}") from error
        raise PunaError(f"cannot write to {folder}: {error.strerror}") from error


@contextmanager
def temporary_path(folder: Path, prefix: str) -> Iterator[Path]:
    """A path in `folder` for a temporary file, which is removed at the end.

    Because of its suffix "-partial" it is not mistaken for a blob; a `prefix` "." distinguishes it from
    manifests.
    """
    with write_errors(folder):
        make_folder(folder)
    path = folder / f"{prefix}{secrets.token_hex(8)}-partial"
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()


def write(file: int, content: bytes | memoryview) -> None:
    """Write all of `content` to an open file. Raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def write_private(path: Path, content: bytes) -> None:
    """Replace the file at `path`, readable by its owner alone. Raises PunaError."""
    with temporary_path(path.parent, f".{path.name}-") as new, write_errors(path.parent):
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        move(new, path)


def sync(path: Path) -> None:
    """fsync a file. Raises OSError."""
    with open(path, "rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


def move(source: Path, target: Path) -> None:
    """Rename a synced file durably. Raises OSError."""
    os.replace(source, target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents durably. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):  # Another process created it first.
        os.mkdir(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """fsync a folder, where the file system supports that. Raises OSError."""
    if os.name == "nt":  # Windows cannot open a folder, and orders its own renames.
        return
    try:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise
