"""Evaluates a batch of a drafter, whose pool may be full."""

from __future__ import annotations

import time
from collections.abc import Callable

from puna.engine.libllama import Context
from puna.errors import PunaError

_NO_ROOM = 1


def decode(context: Context, rows: int, make_room: Callable[[], bool]) -> int:
    """Evaluate the first `rows` rows of the batch, again whenever room could be made.

    Returns the nanoseconds it took. Raises PunaError.
    """
    started = time.perf_counter_ns()
    while (status := context.decode(rows)) == _NO_ROOM and make_room():
        pass
    if status:
        raise PunaError(f"libllama could not evaluate its batch (status {status})")
    context.synchronize()
    return time.perf_counter_ns() - started
