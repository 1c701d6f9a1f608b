"""Runs functions in threads while the caller's thread reports progress."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from puna.types import Progress, Report

_EVERY = 0.06
"""Seconds between polls, as in Ollama (server/download.go, `Wait`)."""
_AT_LEAST_EVERY = 0.5
"""Seconds between reports without progress. They are needed, because only a report can cancel."""


class Reporter:
    """Passes the steps of one bar to `report`, without immediate repetitions."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._reported: tuple[Progress, float] | None = None

    def report(self, step: Progress) -> None:
        """Report a new step. Raises the errors of `report`."""
        now = time.monotonic()
        if not self._reported or self._reported[0] != step or now - self._reported[1] > _AT_LEAST_EVERY:
            self._reported = (step, now)
            self._report(step)


def watch(
    work: Sequence[Callable[[], None]],
    cancel: Callable[[], None],
    state: Callable[[], Progress],
    report: Report,
) -> None:
    """Run all of `work` in threads, and report `state` periodically.

    The first error, including one of `report`, calls `cancel` and is raised after all threads have ended.
    """
    errors: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:
            errors.append(error)
            cancel()

    reporter = Reporter(report)
    reporter.report(state())
    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                reporter.report(state())
                thread.join(_EVERY)
    except BaseException:
        cancel()
        raise
    finally:
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    reporter.report(state())
