"""Notices an engine that hangs: it has work to do, and does not react."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

_TICK = 1.0
"""Seconds."""

_SLACK = 4
"""An engine may be silent for so many times its longest step: a row costs more behind a long text."""


class Watchdog:
    """Asks a silent engine once a second for a word, which it gives between two steps.

    So neither a long prompt nor a slow machine is a hang, because the engine says how long a step may take.
    Silence is counted in the server's own ticks, so that a machine which slept does not count as silent.
    """

    def __init__(
        self,
        patience: float,
        busy: Callable[[], bool],
        ask: Callable[[], None],
        hung: Callable[[float], None],
    ) -> None:
        """`patience`: seconds of silence that are no hang, at the least; inf watches nothing.

        `busy` says whether a word is due. `hung` gets the seconds after which the watch has ended.
        """
        self.longest = 0.0
        """Seconds that a step of the engine takes at most, as far as it is known."""
        self._patience = patience
        self._busy, self._ask, self._hung = busy, ask, hung
        self._silent = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """There is work to do."""
        if self._timer is None and math.isfinite(self._patience):
            self._silent = 0
            self._wait()

    def heard(self) -> None:
        """The engine said something."""
        self._silent = 0

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._busy():
            return
        self._silent += 1
        limit = max(self._patience, _SLACK * self.longest)
        if self._silent * _TICK > limit:
            self._hung(limit)
            return
        self._ask()
        self._wait()
