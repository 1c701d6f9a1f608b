"""Prepares the next load while the server is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_PAUSE = 2.0
"""Seconds without a request after which the next load may be prepared."""


class IdleWork:
    """Awaits `prepare` after each pause, unless the server is `busy` again."""

    def __init__(self, prepare: Callable[[], Awaitable[None]], busy: Callable[[], bool]) -> None:
        self._prepare, self._busy = prepare, busy
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def rest(self) -> None:
        """Start the pause: the server is idle."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._begin)

    def _begin(self) -> None:
        if not self._busy():
            self._task = asyncio.ensure_future(self._prepare())

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.wait({self._task})
