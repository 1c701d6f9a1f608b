"""Pulls and pushes under way: whoever asks for one that is already running joins in."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from threading import Event, Thread

from puna.library import Library, Name, pull, push
from puna.server.working import Abandoned
from puna.types import Progress, PunaError, Report

_log = logging.getLogger(__name__)

_Transfer = Callable[..., None]


class _Follower:
    """What one client has still to be told. Of the steps of one bar, only the newest."""

    def __init__(self) -> None:
        self.steps: deque[Progress] = deque()
        self.told = asyncio.Event()

    def tell(self, step: Progress) -> None:
        if self.steps and step.total and self.steps[-1].status == step.status:
            self.steps.pop()
        self.steps.append(step)
        self.told.set()


class _Running:
    """One piece of work and those who follow it."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.followers: set[_Follower] = set()
        self.abandoned = Event()
        self.last: Progress | None = None

    def tell(self, step: Progress) -> None:
        self.last = step
        for follower in self.followers:
            follower.tell(step)

    def end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error:
            self.ended.set_exception(error)
            self.ended.exception()  # seen, even if every follower has left
        else:
            self.ended.set_result(None)
        for follower in self.followers:
            follower.told.set()


class Pulls:
    """The pulls into `library` and the pushes out of it.

    One goes on while anybody follows it. When the last follower leaves it is cancelled, as in Ollama; what a
    pull has fetched by then is kept for the next one.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._running: dict[tuple[_Transfer, Name, bool], _Running] = {}

    def follow(self, name: str, *, insecure: bool = False) -> AsyncGenerator[Progress, None]:
        """The progress of pulling a model. Raises InvalidName, NotFound, and whatever ends the pull."""
        return self._follow(pull, name, insecure)

    def push(self, name: str, *, insecure: bool = False) -> AsyncGenerator[Progress, None]:
        """The progress of pushing a model. Raises InvalidName, NotFound, and whatever ends the push."""
        return self._follow(push, name, insecure)

    def close(self) -> None:
        """Send the followers away; the work ends at its next report, or with the process."""
        for running in self._running.values():
            running.abandoned.set()
            running.end(PunaError("server is shutting down"))
        self._running.clear()

    async def _follow(self, transfer: _Transfer, text: str, insecure: bool) -> AsyncGenerator[Progress, None]:
        key = (transfer, self._library.resolve(text), insecure)
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = _Running()
            self._begin(running, key, lambda report: transfer(self._library, text, report, insecure=insecure))
        follower = _Follower()
        if running.last:
            follower.tell(running.last)
        running.followers.add(follower)
        try:
            while follower.steps or not running.ended.done():
                while follower.steps:
                    yield follower.steps.popleft()
                if not running.ended.done():
                    await follower.told.wait()
                    follower.told.clear()
        finally:
            running.followers.discard(follower)
            if not running.followers:
                running.abandoned.set()
                self._forget(key, running)
        await running.ended

    def _begin(
        self, running: _Running, key: tuple[_Transfer, Name, bool], work: Callable[[Report], None]
    ) -> None:
        """Start the thread that does the work."""
        loop = asyncio.get_running_loop()
        title = f"{key[0].__name__} {key[1].display()}"

        def end(error: Exception | None) -> None:
            self._forget(key, running)
            running.end(error)

        def report(step: Progress) -> None:
            if running.abandoned.is_set():
                raise Abandoned(f"{title}: nobody waits for it any more")
            loop.call_soon_threadsafe(running.tell, step)

        def run() -> None:
            error: Exception | None = None
            try:
                work(report)
            except Exception as raised:
                _log.warning("%s failed: %s", title, raised)
                error = raised
            with suppress(RuntimeError):  # The server stopped, and its loop with it.
                loop.call_soon_threadsafe(end, error)

        # A daemon: a stopping server does not wait for a download; what is fetched so far is taken up again.
        Thread(target=run, name=title, daemon=True).start()

    def _forget(self, key: tuple[_Transfer, Name, bool], running: _Running) -> None:
        if self._running.get(key) is running:
            del self._running[key]
