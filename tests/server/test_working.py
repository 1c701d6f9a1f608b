"""Work in a thread, followed from the event loop."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest

from puna.errors import PunaError
from puna.server.working import Abandoned, FollowedWork
from puna.types import Progress, Report


async def test_every_step_is_told_in_order():
    def work(report: Report) -> None:
        for number in range(100):
            report(Progress(status=f"step {number}"))
            report(Progress(status="again"))

    told = [step.status async for step in FollowedWork("test", work).follow()]
    assert told == [text for number in range(100) for text in (f"step {number}", "again")]


async def test_steps_of_a_bar_do_not_pile_up():
    def work(report: Report) -> None:
        report(Progress(status="begin"))
        followed.wait(30)
        for done in range(1, 1001):
            report(Progress(status="bar", completed=done, total=1000))
        report(Progress(status="end"))
        finished.set()

    followed, finished = Event(), Event()
    steps = FollowedWork("test", work).follow()
    begin = await anext(steps)
    followed.set()
    await asyncio.to_thread(finished.wait, 30)
    rest = [step async for step in steps]
    assert (begin.status, rest[-1].status) == ("begin", "end")
    assert rest[-2] == Progress(status="bar", completed=1000, total=1000)
    assert len(rest) < 900


async def test_what_ends_the_work_comes_after_its_steps():
    def work(report: Report) -> None:
        report(Progress(status="first"))
        raise PunaError("disk full")

    steps = FollowedWork("test", work).follow()
    assert (await anext(steps)).status == "first"
    with pytest.raises(PunaError, match="disk full"):
        await anext(steps)


async def test_leaving_ends_the_work_at_its_next_report():
    proceed, ended = Event(), Event()
    raised: list[BaseException] = []

    def work(report: Report) -> None:
        try:
            report(Progress(status="first"))
            proceed.wait(30)
            report(Progress(status="second"))
        except Abandoned as error:
            raised.append(error)
            raise
        finally:
            ended.set()

    steps = FollowedWork("test", work).follow()
    await anext(steps)
    await steps.aclose()
    proceed.set()
    assert await asyncio.to_thread(ended.wait, 30)
    assert len(raised) == 1
