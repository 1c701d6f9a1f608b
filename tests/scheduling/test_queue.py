from __future__ import annotations

from puna.scheduling import Scheduler
from puna.settings import Settings
from puna.types import Busy
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
