"""Pulls under way: whoever asks for a model that is already being pulled joins in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from threading import Thread

from puna.library import Library, Name, install
from puna.types import Progress, PunaError

_log = logging.getLogger(__name__)


class _Pull:
    """One piece of work and the queues of those who follow it. None in a queue says that it ended."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.followers: set[asyncio.Queue[Progress | None]] = set()
        self.last: Progress | None = None

    def tell(self, progress: Progress) -> None:
        self.last = progress
        for queue in self.followers:
            queue.put_nowait(progress)

    def end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error:
            self.ended.set_exception(error)
            self.ended.exception()  # seen, even if every follower has left
        else:
            self.ended.set_result(None)
        for queue in self.followers:
            queue.put_nowait(None)


class Pulls:
    """The pulls into `library`. A pull goes on when its followers leave: the next one finds the model."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._running: dict[Name, _Pull] = {}

    async def follow(self, text: str) -> AsyncGenerator[Progress, None]:
        """The progress of pulling a model. Raises InvalidName, NotFound, and whatever ends the pull."""
        name = self._library.resolve(text)
        pull = self._running.get(name) or self._begin(name)
        queue: asyncio.Queue[Progress | None] = asyncio.Queue()
        if pull.last:
            queue.put_nowait(pull.last)
        pull.followers.add(queue)
        try:
            while progress := await queue.get():
                yield progress
        finally:
            pull.followers.discard(queue)
        await pull.ended

    def close(self) -> None:
        """Send the followers away; the work itself ends with the process."""
        for pull in self._running.values():
            pull.end(PunaError("server is shutting down"))
        self._running.clear()

    def _begin(self, name: Name) -> _Pull:
        pull = self._running[name] = _Pull()
        loop = asyncio.get_running_loop()

        def end(error: Exception | None) -> None:
            self._running.pop(name, None)
            pull.end(error)

        def report(progress: Progress) -> None:
            loop.call_soon_threadsafe(pull.tell, progress)

        def work() -> None:
            error: Exception | None = None
            try:
                install(self._library, name, report)
            except Exception as raised:
                _log.warning("pull of %s failed: %s", name.display(), raised)
                error = raised
            with suppress(RuntimeError):  # The server stopped, and its loop with it.
                loop.call_soon_threadsafe(end, error)

        # A daemon: a stopping server does not wait for a download; what is written so far is not listed.
        Thread(target=work, name=f"pull {name.display()}", daemon=True).start()
        return pull
