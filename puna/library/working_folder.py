"""A working folder for one process at a time, always empty at the start."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from puna.library.durable import make_folder
from puna.library.lock import is_locked, try_lock

_LOOK_AGAIN = 0.2  # seconds


@contextmanager
def working_folder(root: Path, title: str, on_wait: Callable[[], None]) -> Iterator[Path]:
    """An empty folder `.<title>` in `root`, removed at the end. Removes the files of a killed process first.

    While another process or thread uses it, `on_wait` is called five times a second; an error it raises ends
    the wait. The lock is the system's, so it ends with its process. Raises OSError.
    """
    make_folder(root)
    folder = root / f".{title}"
    with open(_lock_path(folder), "ab") as lock:
        while not try_lock(lock.fileno()):
            on_wait()
            time.sleep(_LOOK_AGAIN)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def abandoned(root: Path, age: float) -> Iterator[Path]:
    """The working folders in `root` that killed processes left, `age` seconds ago or earlier. Raises OSError.

    The age protects those in use where files cannot be locked.
    """
    for lock in root.glob(".*.lock"):
        folder = lock.with_suffix("")
        with suppress(FileNotFoundError):
            if folder.is_dir() and time.time() - folder.stat().st_mtime > age and not is_locked(lock):
                yield folder


def remove_abandoned(folder: Path) -> None:
    """Remove a working folder, unless a process uses it by now. Raises OSError."""
    with open(_lock_path(folder), "ab") as lock:
        if try_lock(lock.fileno()):
            shutil.rmtree(folder, ignore_errors=True)


def _lock_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
