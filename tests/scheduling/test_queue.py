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
    settle,
    use,
    virtual_time,
)

BUSY = "server busy, please try again.  maximum pending requests exceeded"


@virtual_time
async def test_beyond_the_queues_end_a_request_is_refused(models: Models):
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(max_queue=2), launcher)
    admitted = [ask(scheduler, models["a"]) for _ in range(3)]
    await settle()
    refused = ask(scheduler, models["a"])
    await settle()
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
    refused = ask(scheduler, models["a"])
    await settle()
    assert refused.error == BUSY
    await held[0].leave()
    again = ask(scheduler, models["a"])
    await settle()
    assert again.holds


@virtual_time
async def test_without_a_queue_a_free_place_still_serves(models: Models):
    scheduler = Scheduler(Settings(max_queue=0, num_parallel=1, max_loaded_models=1), Launcher())
    await use(scheduler, models["a"])
    await use(scheduler, models["b"])
    client = ask(scheduler, models["b"])
    await settle()
    assert client.holds
    refused = ask(scheduler, models["b"])
    await settle()
    assert refused.error == BUSY


@virtual_time
async def test_a_cancelled_waiter_leaves_the_queue(models: Models):
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(max_queue=0), launcher)
    for _ in range(3):
        client = ask(scheduler, models["a"])
        await settle()
        assert client.waits
        await client.vanish()
    assert len(launcher.launches) == 1


@virtual_time
async def test_users_wait_in_turn(models: Models):
    scheduler = Scheduler(Settings(max_loaded_models=2), Launcher())
    held = ask(scheduler, models["a"], turn=Turn("ann"))
    other = ask(scheduler, models["b"], turn=Turn("zoe"))
    await settle()
    # All three wait for a model's end. Ann came first, and has a request running.
    batch = ask(scheduler, models["c"], turn=Turn("eve", 1), keep_alive=0)
    again = ask(scheduler, models["c"], keep_alive=0, turn=Turn("ann"))
    first = ask(scheduler, models["embedder"], keep_alive=0, turn=Turn("bob"))
    await settle()
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
        client = ask(scheduler, models["a"])
        await settle()
        await asyncio.sleep(7)
        await client.leave()
    client = ask(scheduler, models["a"])
    await settle()
    refused = ask(scheduler, models["a"])
    await settle()
    error = refused.task.exception()
    assert isinstance(error, Busy)
    assert 5 <= error.retry_after <= 7
