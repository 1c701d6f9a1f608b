"""Graceful shutdown: running requests may finish within a time limit, new ones are refused."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from types import FrameType

import uvicorn

from puna.server.services import Services

_log = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Stops within `patience` seconds of the first signal, and at once on the second.

    Closes the services before it waits for connections, so that every open stream gets its last line.
    """

    def __init__(self, config: uvicorn.Config, services: Services, patience: float) -> None:
        super().__init__(config)
        self._services = services
        self._patience = patience if math.isfinite(patience) else None
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
            if self._draining:
                self._draining.get_loop().call_soon_threadsafe(self._draining.cancel)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if unfinished := self._services.scheduler.unfinished:
            _log.info("Stopping: %d requests are finished first; a second signal ends them", unfinished)
        # The socket still accepts, so that new requests get a clear refusal.
        self._draining = asyncio.create_task(self._services.drain())
        await asyncio.wait({self._draining}, timeout=0 if self.force_exit else self._patience)
        self._draining.cancel()
        for server in self.servers:
            server.close()
        await self._services.close()
        await super().shutdown(sockets)
