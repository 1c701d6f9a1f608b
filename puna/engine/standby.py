"""Starts engines, and has a process ready in which the next one begins.

An interpreter with libllama imported is half of a small model's load, so one waits, with no model in it.
"""

from __future__ import annotations

import logging

from puna.engine.process import EngineProcess, load, spawn
from puna.load import LoadSpec

_log = logging.getLogger(__name__)


class EngineStarter:
    """Starts engines; a process is made ready when `prepare` is called."""

    def __init__(self, *, patience: float, standby: bool) -> None:
        """`patience` as `puna.engine.start` has it. Without `standby`, no process waits."""
        self._patience = patience
        self._wanted = standby
        self._ready: EngineProcess | None = None

    async def start(self, spec: LoadSpec) -> EngineProcess:
        """Load a model, in the process that waits if there is one. Raises LoadFailed with the reason."""
        engine, self._ready = self._ready, None
        if engine is None or not engine.alive:
            engine = await spawn(self._patience)
        return await load(engine, spec)

    async def prepare(self) -> None:
        """See to it that a process waits."""
        if not self._wanted or (self._ready and self._ready.alive):
            return
        try:
            engine = await spawn(self._patience)
        except OSError as error:
            _log.warning("no engine process can be made ready: %s", error)
            return
        if self._wanted and self._ready is None:
            self._ready = engine
        else:
            await engine.kill()

    async def close(self) -> None:
        """End the process that waits; no more is made."""
        self._wanted = False
        engine, self._ready = self._ready, None
        if engine is not None:
            await engine.kill()
