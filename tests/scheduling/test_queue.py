"""Who waits, in which order, and who is refused."""

from __future__ import annotations

import asyncio

from puna.errors import Busy
from puna.scheduling import Scheduler
from puna.settings import Settings
from puna.types import Turn
from tests.scheduling.scripted import (
    Launcher,
    Models,
    ask,
    asked,
    settle,
    started,
    use,
    virtual_time,
)

BUSY = "server busy, please try again.  maximum pending requests exceeded"


@virtual_time
async def test_beyond_the_queues_end_a_request_is_refused(models: Models):
    launcher, scheduler = started(Settings(max_queue=2), held=True)
    admitted = [ask(scheduler, models["a"]) for _ in range(3)]
    await settle()
    refused = await asked(scheduler, models["a"])
    assert isinstance(refused.task.exception(), Busy)
    assert refused.error == BUSY
    launcher.launches[0].succeed()
    await settle()
    assert all(client.holds for client in admitted)


@virtual_time
async def test_leases_beyond_the_engines_places_count_as_queued(models: Models):
    scheduler = Scheduler(Settings(max_queue=1, num_parallel=2), Launcher())
    await use(scheduler, models["a"])
    held = [ask(scheduler, models["a"]) for _ in range(3)]
    await settle()
    assert all(client.holds for client in held)
    refused = await asked(scheduler, models["a"])
    assert refused.error == BUSY
    await held[0].leave()
    again = await asked(scheduler, models["a"])
    assert again.holds


@virtual_time
async def test_without_a_queue_a_free_place_still_serves(models: Models):
    scheduler = Scheduler(Settings(max_queue=0, num_parallel=1, max_loaded_models=1), Launcher())
    await use(scheduler, models["a"])
    await use(scheduler, models["b"])
    client = await asked(scheduler, models["b"])
    assert client.holds
    refused = await asked(scheduler, models["b"])
    assert refused.error == BUSY


@virtual_time
async def test_a_cancelled_waiter_leaves_the_queue(models: Models):
    launcher, scheduler = started(Settings(max_queue=0), held=True)
    for _ in range(3):
        client = await asked(scheduler, models["a"])
        assert client.waits
        await client.vanish()
    assert len(launcher.launches) == 1


@virtual_time
async def test_users_wait_in_turn(models: Models):
    scheduler = Scheduler(Settings(max_loaded_models=2), Launcher())
    held = ask(scheduler, models["a"], turn=Turn("ann"))
    other = await asked(scheduler, models["b"], turn=Turn("zoe"))
    # All three wait for a model's end. Ann came first, and has a request running.
    batch = ask(scheduler, models["c"], turn=Turn("eve", 1), keep_alive=0)
    again = ask(scheduler, models["c"], keep_alive=0, turn=Turn("ann"))
    first = await asked(scheduler, models["embedder"], keep_alive=0, turn=Turn("bob"))
    assert batch.waits
    assert again.waits
    await other.leave()
    assert first.holds
    assert again.waits
    await first.leave()
    assert again.holds
    assert held.holds
    await again.leave()


@virtual_time
async def test_who_is_refused_hears_when_the_queue_will_have_a_place(models: Models):
    scheduler = Scheduler(Settings(max_queue=0, num_parallel=1), Launcher())
    await use(scheduler, models["a"])
    for _ in range(4):
        client = await asked(scheduler, models["a"])
        await asyncio.sleep(7)
        await client.leave()
    client = await asked(scheduler, models["a"])
    refused = await asked(scheduler, models["a"])
    error = refused.task.exception()
    assert isinstance(error, Busy)
    assert 5 <= error.retry_after <= 7
