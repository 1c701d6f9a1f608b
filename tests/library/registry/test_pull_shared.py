"""Pulls that are broken off, and several pulls of one blob."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from puna.library import Library
from puna.library.registry import journal
from puna.types import Progress
from tests.library.registry.conftest import DIGEST, MEGABYTE, SIZE, WEIGHTS
from tests.library.registry.pulling import partial, pulled
from tests.registries import Asked, Fault, Line


def test_an_error_in_the_report_cancels_and_what_arrived_is_kept(way: Line, library: Library, key: Path):
    way.fault = lambda asked: Fault("stall", after=500_000) if asked.blob else None

    def report(step: Progress) -> None:
        if step.completed >= 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pulled(library, way.host, key, report=report, stall=60)
    assert journal.completed(partial(library, ".journal")) >= 500_000
    assert not library.blobs.path(DIGEST).exists()


def test_a_journal_of_something_else_is_not_believed(way: Line, library: Library, key: Path):
    partial(library).write_bytes(bytes(SIZE))
    partial(library, ".journal").write_bytes(b"puna-partial-1\n\0" + b"\xff" * 48)
    pulled(library, way.host, key)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


def test_two_pulls_of_one_blob_fetch_it_once(way: Line, library: Library, key: Path):
    """Threads here; the lock is the same between processes (tests/server/test_pull.py has two)."""
    begun, proceed = threading.Event(), threading.Event()

    def fault(asked: Asked) -> None:
        if asked.blob and DIGEST in asked.path:
            begun.set()
            proceed.wait(30)

    way.fault = fault

    def report(step: Progress) -> None:
        if step.digest == DIGEST:
            proceed.set()

    first = threading.Thread(target=pulled, args=(library, way.host, key))
    first.start()
    assert begun.wait(30)
    steps = pulled(Library(library.root), way.host, key, report=report)
    first.join()
    assert sum(asked.sent for asked in way.blobs() if DIGEST in asked.path) == SIZE
    assert steps[-1].status == "success"


def test_who_waits_takes_over_when_the_other_is_cancelled(way: Line, library: Library, key: Path):
    way.faults(*[Fault("stall", after=200_000)] * 4)
    # Of four parts, the last of them shorter: then nothing is on its way that a cancel would lose.
    arriving = 3 * 200_000 + SIZE % MEGABYTE
    halfway, cancel = threading.Event(), threading.Event()

    def first_report(step: Progress) -> None:
        if step.completed >= arriving and step.digest == DIGEST:
            halfway.set()
            cancel.wait(30)
            raise InterruptedError

    def first_pull() -> None:
        with pytest.raises(InterruptedError):
            pulled(library, way.host, key, report=first_report, stall=60)

    def second_report(step: Progress) -> None:
        if step.digest == DIGEST:
            followed.append(step.completed)
            cancel.set()

    followed: list[int] = []
    first = threading.Thread(target=first_pull)
    first.start()
    assert halfway.wait(30)
    pulled(Library(library.root), way.host, key, report=second_report)
    first.join()
    assert followed[0] == arriving
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS
    assert sum(asked.sent for asked in way.blobs() if DIGEST in asked.path) == SIZE
