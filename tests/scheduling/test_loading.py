"""One load for all who wait for it, and how loads fail and end."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from puna.errors import LoadFailed
from puna.library import Library
from puna.load import LoadSpec
from puna.scheduling import Scheduler, choice, loads
from puna.scheduling.choice import Choice
from puna.scheduling.facts import Facts
from puna.settings import Settings
from tests.models import install, shape_model
from tests.scheduling.scripted import (
    PLAIN,
    Launcher,
    Models,
    ScriptedEngine,
    ask,
    asked,
    least,
    running,
    settle,
    started,
    use,
    virtual_time,
)


@virtual_time
async def test_concurrent_first_requests_load_a_model_once(models: Models):
    launcher, scheduler = started(held=True)
    clients = [ask(scheduler, models["a"]) for _ in range(5)]
    await settle()
    assert len(launcher.launches) == 1
    assert all(client.waits for client in clients)
    assert running(scheduler) == []
    launcher.launches[0].succeed()
    await settle()
    assert {client.engine for client in clients} == set(launcher.engines)
    later = await asked(scheduler, models["a"])
    assert later.engine is launcher.engines[0]


@virtual_time
async def test_a_load_that_cannot_be_planned_is_refused_and_others_go_on(
    models: Models, monkeypatch: pytest.MonkeyPatch
):
    def choose(facts: Facts, *others: Any) -> Choice:
        if facts.path == str(models["a"].weights):
            raise ArithmeticError("a size beyond all measure")
        return choice.choose(facts, *others)

    monkeypatch.setattr(loads, "choose", choose)
    _, scheduler = started()
    refused = await asked(scheduler, models["a"])
    assert refused.error == "unable to load model: a size beyond all measure"
    assert (await asked(scheduler, models["b"])).holds


@virtual_time
async def test_two_names_for_the_same_weights_share_an_engine(models: Models):
    launcher, scheduler = started()
    await use(scheduler, models["a"])
    await use(scheduler, models["also-a"])
    assert len(launcher.launches) == 1
    await scheduler.unload(models["also-a"])
    assert running(scheduler) == []


@virtual_time
async def test_the_load_time_is_the_waiters_own(models: Models):
    scheduler = Scheduler(Settings(), Launcher())
    async with scheduler.lease(models["a"], PLAIN, None) as cold:
        pass
    async with scheduler.lease(models["a"], PLAIN, None) as warm:
        pass
    assert 0 <= warm.load_ns < cold.load_ns


@virtual_time
async def test_a_waiter_that_goes_away_does_not_end_the_load(models: Models):
    launcher, scheduler = started(held=True)
    first, second = ask(scheduler, models["a"]), ask(scheduler, models["a"])
    await settle()
    await first.vanish()
    assert not launcher.launches[0].cancelled
    launcher.launches[0].succeed()
    await settle()
    assert second.holds
    assert first.task.cancelled()


@virtual_time
async def test_a_load_that_nobody_waits_for_any_more_is_kept_for_its_keep_alive(models: Models):
    launcher, scheduler = started(held=True)
    client = await asked(scheduler, models["a"], keep_alive=60)
    await client.vanish()
    launcher.launches[0].succeed()
    await settle()
    assert running(scheduler) == ["a"]
    await asyncio.sleep(59)
    assert running(scheduler) == ["a"]
    await asyncio.sleep(2)
    assert launcher.engines[0].closed


@virtual_time
async def test_a_waiter_that_goes_away_as_it_is_served_gives_its_lease_back(models: Models):
    launcher, scheduler = started(held=True)
    client = await asked(scheduler, models["a"], keep_alive=0)
    launcher.launches[0].succeed()
    while not running(scheduler):
        await asyncio.sleep(0)
    await client.vanish()
    assert launcher.engines[0].closed


@virtual_time
async def test_a_failed_load_is_told_to_all_who_wait_and_tried_again_for_the_next(models: Models):
    launcher, scheduler = started(held=True)
    clients = [ask(scheduler, models["a"]) for _ in range(3)]
    await settle()
    launcher.launches[0].fail("tensor 'x' is missing")
    await settle()
    for client in clients:
        assert isinstance(client.task.exception(), LoadFailed)
        assert client.error == "tensor 'x' is missing"
    again = await asked(scheduler, models["a"])
    launcher.launches[1].succeed()
    await settle()
    assert again.holds


@virtual_time
async def test_what_start_did_not_foresee_fails_the_load_and_nothing_else(models: Models):
    async def start(spec: LoadSpec) -> ScriptedEngine:
        raise OSError("no more processes")

    scheduler = Scheduler(Settings(), start)
    client = await asked(scheduler, models["a"])
    assert isinstance(client.task.exception(), LoadFailed)
    assert client.error == "unable to load model: no more processes"


@virtual_time
async def test_a_load_has_only_so_much_time(models: Models):
    launcher, scheduler = started(Settings(load_timeout=20), held=True)
    client = ask(scheduler, models["a"])
    await asyncio.sleep(19)
    assert client.waits
    await asyncio.sleep(2)
    assert isinstance(client.task.exception(), LoadFailed)
    assert client.error == "timed out waiting for the model to load (20 s)"
    assert launcher.launches[0].cancelled


@virtual_time
async def test_missing_weights_are_an_error_of_that_request(models: Models, tmp_path: Path):
    shape_model(tmp_path / "gone", name="gone", seed=9)
    install(tmp_path / "store", "gone", tmp_path / "gone")
    model = Library(tmp_path / "store").open("gone")
    model.weights.unlink()
    scheduler = Scheduler(Settings(), Launcher())
    with pytest.raises(LoadFailed, match="No such file"):
        await use(scheduler, model)
    await use(scheduler, models["a"])


@virtual_time
async def test_closing_ends_everything(models: Models):
    launcher, scheduler = started(Settings(memory=int(2.5 * least(models["a"]))))
    held, idle = ask(scheduler, models["a"]), ask(scheduler, models["b"], keep_alive=math.inf)
    await settle()
    await idle.leave()
    launcher.held = True
    loading = await asked(scheduler, models["c"])
    assert len(launcher.launches) == 3
    queued = await asked(scheduler, models["b"])
    await scheduler.close()
    await settle()
    assert all(engine.closed for engine in launcher.engines)
    assert launcher.launches[2].cancelled
    assert loading.error == queued.error == "server is shutting down"
    late = await asked(scheduler, models["a"])
    assert late.error == "server is shutting down"
    await held.leave()
    assert held.task.exception() is None
    assert scheduler.loaded_models() == []


@pytest.mark.parametrize("steps", range(5))
@virtual_time
async def test_a_load_that_ends_as_the_scheduler_closes_is_closed_too(models: Models, steps: int):
    launcher, scheduler = started(held=True)
    client = await asked(scheduler, models["a"])
    launcher.launches[0].succeed()
    for _ in range(steps):
        await asyncio.sleep(0)
    await scheduler.close()
    assert all(engine.closed for engine in launcher.engines)
    await client.vanish()
    assert scheduler.loaded_models() == []
