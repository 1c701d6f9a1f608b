"""Work done by a user who may not do everything, whoever runs the tests."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def anybodys_folder() -> Iterator[Path]:
    """A folder that everybody may read; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def as_nobody(work: Callable[[], None]) -> None:
    """Do `work` in a process that modes stop, which they do not stop root's; it must not fail there."""
    child = multiprocessing.get_context("fork").Process(target=_without_rights, args=(work,))
    child.start()
    child.join()
    assert child.exitcode == 0


def _without_rights(work: Callable[[], None]) -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    work()
