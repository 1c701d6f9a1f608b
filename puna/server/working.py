"""A long piece of blocking work for one client: done in a thread, followed from the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from threading import Event, Thread

from puna.types import Progress, PunaError, Report

_log = logging.getLogger(__name__)


class Abandoned(PunaError):
    """Raised in the work, at its next report, when nobody follows it any more."""


async def working(title: str, work: Callable[[Report], None]) -> AsyncGenerator[Progress, None]:
    """The progress of `work`, then whatever it raised. Closing the iterator ends the work at its next report.

    Of the steps of one bar that came while the client was busy, only the newest is told.
    """
    loop = asyncio.get_running_loop()
    steps: deque[Progress] = deque()
    told, ended, left = asyncio.Event(), asyncio.Event(), Event()
    failure: list[Exception] = []

    def tell(step: Progress) -> None:
        if steps and step.total and steps[-1].status == step.status:
            steps.pop()
        steps.append(step)
        told.set()

    def end(error: Exception | None) -> None:
        failure.extend([error] if error else [])
        ended.set()
        told.set()

    def report(step: Progress) -> None:
        if left.is_set():
            raise Abandoned(f"{title}: the client went away")
        loop.call_soon_threadsafe(tell, step)

    def run() -> None:
        error: Exception | None = None
        try:
            work(report)
        except Exception as raised:
            _log.warning("%s failed: %s", title, raised)
            error = raised
        with suppress(RuntimeError):  # The server stopped, and its loop with it.
            loop.call_soon_threadsafe(end, error)

    # A daemon: a stopping server does not wait for it; what it leaves unfinished is pruned.
    Thread(target=run, name=title, daemon=True).start()
    try:
        while steps or not ended.is_set():
            if not steps:
                told.clear()
                await told.wait()
            while steps:
                yield steps.popleft()
    finally:
        left.set()
    if failure:
        raise failure[0]
