"""When an engine counts as hung."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from puna.engine import start
from puna.engine.watchdog import Watchdog
from puna.load import LoadSpec
from tests.engine.asking import ask
from tests.scheduling.scripted import virtual_time


class Watched:
    """An engine that is asked, and reacts if `reacts`."""

    def __init__(self, patience: float, *, longest: float = 0, reacts: bool = False) -> None:
        self.busy = True
        self.reacts = reacts
        self.asked = 0
        self.hung: list[float] = []
        self.dog = Watchdog(patience, lambda: self.busy, self.ask, self.hung.append)
        self.dog.longest = longest
        self.dog.watch()

    def ask(self) -> None:
        self.asked += 1
        if self.reacts:
            self.dog.on_message()


@virtual_time
async def test_silence_is_a_hang_after_the_patience():
    watched = Watched(30)
    await asyncio.sleep(30)
    assert watched.hung == []
    await asyncio.sleep(2)
    assert watched.hung == [30]
    await asyncio.sleep(100)
    assert len(watched.hung) == 1


@virtual_time
async def test_an_engine_that_reacts_is_never_hung():
    watched = Watched(30, reacts=True)
    await asyncio.sleep(1000)
    assert watched.hung == []
    watched.reacts = False
    await asyncio.sleep(32)
    assert watched.hung == [30]


@virtual_time
async def test_long_steps_take_long():
    watched = Watched(30, longest=100)
    await asyncio.sleep(400)
    assert watched.hung == []
    await asyncio.sleep(2)
    assert watched.hung == [400]


@virtual_time
async def test_an_engine_without_work_is_left_alone():
    watched = Watched(30)
    watched.busy = False
    await asyncio.sleep(100)
    assert (watched.asked, watched.hung) == (0, [])
    # The silence of before does not count.
    watched.busy = True
    watched.dog.watch()
    await asyncio.sleep(29)
    assert watched.hung == []


@virtual_time
async def test_time_in_which_the_server_stood_still_is_no_silence():
    watched = Watched(30)
    await asyncio.sleep(10)
    asyncio.get_running_loop().clock.now += 1000  # pyright: ignore[reportAttributeAccessIssue]
    await asyncio.sleep(10)
    assert watched.hung == []


@virtual_time
async def test_a_patience_without_end_watches_nothing():
    watched = Watched(float("inf"))
    await asyncio.sleep(1000)
    assert (watched.asked, watched.hung) == (0, [])


async def test_a_request_that_cannot_be_sent_is_no_work(shaped: Path):
    """The engine stands still, and is left alone."""
    engine = await start(LoadSpec(path=str(shaped), num_ctx=256, pool=512, parallel=2), patience=2)
    try:
        with pytest.raises(OverflowError):
            await ask(engine, [2**70])
        await ask(engine, "x", num_predict=1)
        process = psutil.Process(engine.pid)
        process.suspend()
        await asyncio.sleep(5)
        process.resume()
        assert (await ask(engine, "x", num_predict=1)).finish.eval_tokens == 1
    finally:
        await engine.close()
