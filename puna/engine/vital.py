"""Ends the engine process if vital code fails, because requests would wait forever."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

OUT_OF_MEMORY = errno.ENOMEM
"""The exit status of an engine that ran out of memory."""


@contextmanager
def vital() -> Iterator[None]:
    """An error in the block ends the process, even if there is no memory to report it."""
    try:
        yield
    except BaseException as error:
        try:
            traceback.print_exc()
        finally:
            os._exit(OUT_OF_MEMORY if isinstance(error, MemoryError) else 1)


def start_thread(work: Callable[[], None]) -> Thread:
    """Start a thread whose failure ends the process. Raises MemoryError if it cannot be started."""
    thread = Thread(target=vital()(work), daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError(str(error)) from error
    return thread
