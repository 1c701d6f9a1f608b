"""Pulls and pushes. Concurrent requests for the same transfer share it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from puna.errors import Stopping
from puna.library import ANY_HOST, DEFAULT_LIMITS, AllowedHosts, Library, Name, TransferLimits, pull, push
from puna.server.working import FollowedWork
from puna.types import Progress

_Transfer = Callable[..., None]


class Pulls:
    """The pulls into `library` and the pushes out of it.

    A transfer is cancelled when its last follower leaves, as in Ollama. The next pull resumes it.
    """

    def __init__(
        self, library: Library, limits: TransferLimits = DEFAULT_LIMITS, allowed: AllowedHosts = ANY_HOST
    ) -> None:
        self._library = library
        self._limits = limits
        self._allowed = allowed
        self._running: dict[tuple[_Transfer, Name, bool], FollowedWork] = {}
        self._closed = False

    def follow(self, name: str, *, insecure: bool = False) -> AsyncGenerator[Progress, None]:
        """The progress of pulling a model. Raises InvalidName, NotFound, and the pull's error."""
        return self._follow(pull, name, insecure)

    def push(self, name: str, *, insecure: bool = False) -> AsyncGenerator[Progress, None]:
        """The progress of pushing a model. Raises InvalidName, NotFound, and the push's error."""
        return self._follow(push, name, insecure)

    def close(self) -> None:
        """Raise Stopping in every follower; transfers end at their next report, or with the process."""
        self._closed = True
        for running in self._running.values():
            running.stop(Stopping())
        self._running.clear()

    async def _follow(self, transfer: _Transfer, text: str, insecure: bool) -> AsyncGenerator[Progress, None]:
        key = (transfer, self._library.resolve(text), insecure)
        if self._closed:
            raise Stopping
        running = self._running.get(key)
        if running is None or running.over:
            title = f"{transfer.__name__} {key[1].display()}"
            running = self._running[key] = FollowedWork(
                title,
                lambda report: transfer(
                    self._library, text, report, insecure=insecure, limits=self._limits, allowed=self._allowed
                ),
            )
        try:
            async with aclosing(running.follow()) as steps:
                async for step in steps:
                    yield step
        finally:
            if running.over and self._running.get(key) is running:
                del self._running[key]
