"""How long a model stays, and what unloads it before."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from puna.options import Options
from puna.scheduling import Scheduler
from puna.settings import FOREVER, Settings
from tests.scheduling.scripted import (
    PLAIN,
    Launcher,
    Models,
    ask,
    asked,
    running,
    settle,
    started,
    use,
    virtual_time,
)


@virtual_time
async def test_a_model_stays_for_its_keep_alive_after_the_last_lease(models: Models):
    launcher, scheduler = started(Settings(keep_alive=300))
    first, second = ask(scheduler, models["a"]), ask(scheduler, models["a"])
    await settle()
    await first.leave()
    await asyncio.sleep(1000)
    assert running(scheduler) == ["a"]
    await second.leave()
    await asyncio.sleep(299)
    assert running(scheduler) == ["a"]
    await asyncio.sleep(2)
    assert running(scheduler) == []
    assert launcher.engines[0].closed


@virtual_time
async def test_every_request_sets_the_keep_alive_anew(models: Models):
    scheduler = Scheduler(Settings(keep_alive=300), Launcher())
    await use(scheduler, models["a"], keep_alive=FOREVER)
    await asyncio.sleep(10**6)
    assert running(scheduler) == ["a"]
    await use(scheduler, models["a"])
    await asyncio.sleep(290)
    await use(scheduler, models["a"], keep_alive=20)
    await asyncio.sleep(19)
    assert running(scheduler) == ["a"]
    await asyncio.sleep(2)
    assert running(scheduler) == []


@virtual_time
async def test_keep_alive_zero_unloads_after_the_answer(models: Models):
    launcher, scheduler = started()
    async with scheduler.lease(models["a"], PLAIN, 0):
        await settle()
        assert not launcher.engines[0].closed
    await settle()
    assert launcher.engines[0].closed


@virtual_time
async def test_what_is_loaded_is_listed_by_the_time_it_stays(models: Models):
    scheduler = Scheduler(Settings(keep_alive=300), Launcher())
    await use(scheduler, models["a"], keep_alive=30)
    await use(scheduler, models["b"], keep_alive=FOREVER)
    client = ask(scheduler, models["c"], Options(num_ctx=100))
    await asyncio.sleep(10)
    assert client.holds
    b, c, a = scheduler.loaded_models()
    now = datetime.now().astimezone()
    assert [m.model.name.model for m in (b, c, a)] == ["b", "c", "a"]
    assert b.expires_at.year - now.year in (291, 292, 293)  # Go's longest duration, as Ollama shows it
    assert "T" in b.expires_at.isoformat()
    assert c.expires_at - now == pytest.approx(timedelta(seconds=300), abs=timedelta(seconds=5))
    assert a.expires_at - now == pytest.approx(timedelta(seconds=20), abs=timedelta(seconds=5))
    assert (c.context_length, a.context_length) == (100, 4096)
    assert (a.size, a.size_vram) == (7_000, 0)


@virtual_time
async def test_unload_ends_an_idle_model_before_it_returns(models: Models):
    launcher, scheduler = started()
    await use(scheduler, models["a"], keep_alive=FOREVER)
    launcher.engines[0].may_close.clear()
    unloading = asyncio.create_task(scheduler.unload(models["a"]))
    await settle()
    assert running(scheduler) == []
    assert not unloading.done()
    launcher.engines[0].may_close.set()
    await unloading
    await scheduler.unload(models["a"])
    await scheduler.unload(models["b"])


@virtual_time
async def test_unload_lets_answers_finish(models: Models):
    launcher, scheduler = started()
    client = await asked(scheduler, models["a"])
    await scheduler.unload(models["a"])
    assert not launcher.engines[0].closed
    await client.leave()
    assert launcher.engines[0].closed
