"""A folder that one process at a time works in, and that is empty again whatever became of the last one."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from puna.library.durable import make_folder

_LOOK_AGAIN = 0.2  # seconds


@contextmanager
def workplace(root: Path, title: str, waiting: Callable[[], None]) -> Iterator[Path]:
    """An empty folder `.<title>` in `root`, removed at the end; what a killed process left there goes first.

    While another process or thread has it, `waiting` is called five times a second; an error it raises ends
    the wait. The lock is the system's, so it ends with the process that holds it. Raises OSError.
    """
    make_folder(root)
    folder = root / f".{title}"
    with open(root / f".{title}.lock", "ab") as lock:
        while not _locked(lock):
            waiting()
            time.sleep(_LOOK_AGAIN)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if sys.platform == "win32":
    import msvcrt

    def _locked(file: BinaryIO) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _locked(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
