"""Detects an engine that hangs: it has work and does not respond."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

_TICK = 1.0
"""Seconds."""

_SLACK = 4
"""An engine may be silent for so many times its longest step, because steps grow with the context."""


class Watchdog:
    """Pings a silent engine once a second; the engine answers between two steps.

    The engine reports how long a step may take, so a long prompt or a slow machine is no hang. Silence is
    counted in the server's own ticks, so a suspended machine does not count as silent.
    """

    def __init__(
        self,
        patience: float,
        busy: Callable[[], bool],
        ping: Callable[[], None],
        on_hang: Callable[[float], None],
    ) -> None:
        """`patience`: fewest seconds of silence that count as a hang; inf turns the watch off.

        `busy`: whether an answer is due. `on_hang` is called once with the limit in seconds.
        """
        self.longest = 0.0
        """The engine's longest step so far, in seconds."""
        self._patience = patience
        self._busy, self._ping, self._on_hang = busy, ping, on_hang
        self._silent = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Start the timer: the engine has work."""
        if self._timer is None and math.isfinite(self._patience):
            self._silent = 0
            self._wait()

    def on_message(self) -> None:
        """The engine sent something."""
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
            self._on_hang(limit)
            return
        self._ping()
        self._wait()
