"""Starts engines, and keeps a standby process for the next load.

Importing libllama takes half the time of a small model's load, so the standby process has already done it.
"""

from __future__ import annotations

import logging

from puna.engine.process import EngineProcess, load, spawn
from puna.errors import LoadFailed
from puna.load import LoadSpec

_log = logging.getLogger(__name__)


class EngineStarter:
    """Starts engines; `prepare` starts a standby process."""

    def __init__(self, *, patience: float, standby: bool) -> None:
        """`patience` as in `puna.engine.start`. `standby`: keep a standby process."""
        self._patience = patience
        self._wanted = standby
        self._ready: EngineProcess | None = None

    async def start(self, spec: LoadSpec) -> EngineProcess:
        """Load a model, in the standby process if there is one. Raises LoadFailed with the reason."""
        engine, self._ready = self._ready, None
        if engine is not None and engine.takes_commands:
            try:
                return await load(engine, spec)
            except LoadFailed:
                if engine.began:
                    raise
                _log.warning("the standby process ended before the load began; another one is started")
        return await load(await spawn(self._patience), spec)

    async def prepare(self) -> None:
        """Start a standby process, unless there is one."""
        if not self._lacks_one:
            return
        try:
            engine = await spawn(self._patience)
        except OSError as error:
            _log.warning("no engine process can be made ready: %s", error)
            return
        if self._lacks_one:
            self._ready = engine
        else:
            await engine.kill()

    @property
    def _lacks_one(self) -> bool:
        return self._wanted and (self._ready is None or not self._ready.takes_commands)

    async def close(self) -> None:
        """End the standby process and start no more."""
        self._wanted = False
        engine, self._ready = self._ready, None
        if engine is not None:
            await engine.kill()
