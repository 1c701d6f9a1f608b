"""Work in a thread of its own while the caller's thread tells how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from puna.types import Progress, Report

_EVERY = 0.06
"""Seconds between two looks, as in Ollama (server/download.go, `Wait`)."""
_AT_LEAST_EVERY = 0.5
"""Seconds between two reports of the same: who reports nothing cannot be cancelled."""


class Teller:
    """Passes the steps of one bar on to `report`, without what was just told."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._reported: tuple[Progress, float] | None = None

    def report(self, step: Progress) -> None:
        """Raises what `report` raises."""
        now = time.monotonic()
        if not self._reported or self._reported[0] != step or now - self._reported[1] > _AT_LEAST_EVERY:
            self._reported = (step, now)
            self._report(step)


def watch(
    work: Callable[[], None], halt: Callable[[], None], state: Callable[[], Progress], report: Report
) -> None:
    """Do `work`, reporting its `state` at the beginning, when it changed, now and then, and at the end.

    What `work` raises is raised. An error raised by `report` calls `halt`, which makes `work` end soon, and
    is raised when it has.
    """
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            work()
            outcome.set_result(None)
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    reporter = Teller(report)
    try:
        while not outcome.done():
            reporter.report(state())
            wait([outcome], timeout=_EVERY)
    except BaseException:
        halt()
        raise
    finally:
        thread.join()
    outcome.result()
    reporter.report(state())
