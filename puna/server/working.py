"""Long blocking work: runs in a thread, reports progress to the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from threading import Event, Thread

from puna.errors import PunaError
from puna.types import Progress, Report

_log = logging.getLogger(__name__)


class Abandoned(PunaError):
    """Raised by `report` in the work once no follower is left."""


class FollowedWork:
    """Starts `work` in a thread. It runs while it has followers, so call `follow` at once."""

    def __init__(self, title: str, work: Callable[[Report], None]) -> None:
        loop = asyncio.get_running_loop()
        self._title = title
        self._ended: asyncio.Future[None] = loop.create_future()
        self._followers: set[_Follower] = set()
        self._abandoned = Event()
        self._last: Progress | None = None
        # A daemon, because a stopping server does not wait for it; unfinished files are pruned.
        Thread(target=self._run, args=(work, loop), name=title, daemon=True).start()

    @property
    def over(self) -> bool:
        """It has ended, or ends at its next report."""
        return self._ended.done() or self._abandoned.is_set()

    async def follow(self) -> AsyncGenerator[Progress, None]:
        """The progress from now on; raises the work's error at the end.

        A slow follower gets only the newest step of each bar.
        """
        follower = _Follower()
        if self._last:
            follower.send(self._last)
        self._followers.add(follower)
        try:
            while follower.steps or not self._ended.done():
                while follower.steps:
                    yield follower.steps.popleft()
                if not self._ended.done():
                    await follower.wake.wait()
                    follower.wake.clear()
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._abandoned.set()
        await self._ended

    def stop(self, error: Exception) -> None:
        """Raise `error` in the followers; the work ends at its next report, or with the process."""
        self._abandoned.set()
        self._end(error)

    def _run(self, work: Callable[[Report], None], loop: asyncio.AbstractEventLoop) -> None:
        def report(step: Progress) -> None:
            if self._abandoned.is_set():
                raise Abandoned(f"{self._title}: nobody waits for it any more")
            loop.call_soon_threadsafe(self._send, step)

        failure: Exception | None = None
        try:
            work(report)
        except Exception as error:
            _log.warning("%s failed: %s", self._title, error)
            failure = error
        with suppress(RuntimeError):  # The server stopped, and its loop with it.
            loop.call_soon_threadsafe(self._end, failure)

    def _send(self, step: Progress) -> None:
        self._last = step
        for follower in self._followers:
            follower.send(step)

    def _end(self, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error:
            self._ended.set_exception(error)
            self._ended.exception()  # marks it as retrieved, in case every follower has left
        else:
            self._ended.set_result(None)
        for follower in self._followers:
            follower.wake.set()


class _Follower:
    """Steps that one client has not received yet."""

    def __init__(self) -> None:
        self.steps: deque[Progress] = deque()
        self.wake = asyncio.Event()

    def send(self, step: Progress) -> None:
        if self.steps and step.total and self.steps[-1].status == step.status:
            self.steps.pop()
        self.steps.append(step)
        self.wake.set()
