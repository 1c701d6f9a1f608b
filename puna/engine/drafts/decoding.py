"""Evaluates a proposer's batch, whose pool may be full."""

from __future__ import annotations

import time
from collections.abc import Callable

from puna.engine.libllama import POOL_FULL, Context
from puna.errors import PunaError


def decode(context: Context, rows: int, make_room: Callable[[], bool]) -> int:
    """Evaluate the first `rows` rows of the batch. If the pool is full, make room and try again.

    Returns the nanoseconds that it took. Raises PunaError.
    """
    started = time.perf_counter_ns()
    while (status := context.decode(rows)) == POOL_FULL and make_room():
        pass
    if status:
        raise PunaError(f"libllama could not evaluate its batch (status {status})")
    context.synchronize()
    return time.perf_counter_ns() - started
