"""Who makes room for whom, and who waits for it."""

from __future__ import annotations

import pytest

from puna.errors import PunaError
from puna.options import Options
from puna.scheduling import Scheduler
from puna.settings import FOREVER, Settings
from tests.scheduling.scripted import (
    Launcher,
    Models,
    ask,
    asked,
    least,
    room_for,
    running,
    settle,
    started,
    use,
    virtual_time,
)


@virtual_time
async def test_the_least_recently_used_idle_model_makes_room(models: Models):
    _, scheduler = started(room_for(2, models["a"]))
    await use(scheduler, models["a"])
    await use(scheduler, models["b"], keep_alive=FOREVER)
    await use(scheduler, models["a"])
    await use(scheduler, models["c"])
    assert set(running(scheduler)) == {"a", "c"}


@virtual_time
async def test_a_load_waits_until_the_memory_is_free_indeed(models: Models):
    launcher, scheduler = started(room_for(1, models["a"]))
    await use(scheduler, models["a"])
    launcher.engines[0].may_close.clear()
    client = await asked(scheduler, models["b"])
    assert launcher.engines[0].closed
    assert len(launcher.launches) == 1
    launcher.engines[0].may_close.set()
    await settle()
    assert client.holds


@virtual_time
async def test_memory_on_its_way_back_counts_before_another_model_is_unloaded(models: Models):
    launcher, scheduler = started(room_for(2, models["a"]))
    await use(scheduler, models["a"])
    launcher.engines[0].may_close.clear()
    await use(scheduler, models["b"])
    client = await asked(scheduler, models["c"])
    ask(scheduler, models["also-a"])
    await settle()
    assert client.waits
    assert running(scheduler) == ["b"]
    launcher.engines[0].may_close.set()
    await settle()
    assert client.holds


@virtual_time
async def test_with_nothing_idle_a_request_waits_for_a_lease_to_end(models: Models):
    launcher, scheduler = started(room_for(1, models["a"]))
    streams = [ask(scheduler, models["a"]) for _ in range(2)]
    await settle()
    other = ask(scheduler, models["b"])
    newcomer = await asked(scheduler, models["a"])
    assert other.waits
    assert newcomer.waits, "a's stream of requests would otherwise keep b out for ever"
    await streams[0].leave()
    assert other.waits
    await streams[1].leave()
    assert other.holds
    assert newcomer.waits
    await other.leave()
    assert newcomer.holds
    assert [launch.spec.path for launch in launcher.launches] == [
        str(models[name].weights) for name in ("a", "b", "a")
    ]


@virtual_time
async def test_models_that_need_not_leave_go_on_serving_newcomers(models: Models):
    _, scheduler = started(room_for(2, models["a"]))
    a, b = ask(scheduler, models["a"]), ask(scheduler, models["b"])
    await settle()
    third = ask(scheduler, models["c"])
    on_b = await asked(scheduler, models["b"])
    assert third.waits
    assert on_b.engine is b.engine, "only a, the least recently used, has to drain"
    await a.leave()
    assert third.holds


@virtual_time
async def test_who_comes_later_does_not_take_the_room_another_waits_for(models: Models):
    big = Options(num_ctx=32768)
    memory = least(models["a"]) + least(models["c"]) + 2**20
    assert least(models["b"], big) < memory < least(models["a"]) + least(models["b"], big)
    scheduler = Scheduler(Settings(memory=memory, num_parallel=1), Launcher())
    holder = await asked(scheduler, models["a"])
    waiting = ask(scheduler, models["b"], big)
    small = await asked(scheduler, models["c"])
    assert waiting.waits
    assert small.waits
    await holder.leave()
    assert waiting.holds
    assert small.waits
    await waiting.vanish()
    assert small.holds


@virtual_time
async def test_those_behind_move_up_when_who_waits_for_room_goes_away(models: Models):
    big = Options(num_ctx=32768)
    # The first takes a quarter of the memory for finished answers besides.
    memory = (least(models["a"]) + least(models["c"])) * 4 // 3 + 2**20
    scheduler = Scheduler(Settings(memory=memory, num_parallel=1), Launcher())
    holder = await asked(scheduler, models["a"])
    waiting, small = ask(scheduler, models["b"], big), ask(scheduler, models["c"])
    await settle()
    assert small.waits
    await waiting.vanish()
    assert small.holds
    assert holder.holds


@virtual_time
async def test_a_model_that_can_never_fit_is_refused_and_nothing_is_unloaded_for_it(models: Models):
    memory = least(models["a"]) + 2**20
    scheduler = Scheduler(Settings(memory=memory), Launcher())
    await use(scheduler, models["a"])
    with pytest.raises(PunaError) as refused:
        await use(scheduler, models["b"], Options(num_ctx=32768))
    need, have = least(models["b"], Options(num_ctx=32768)) / 2**20, memory / 2**20
    assert str(refused.value) == (
        f"model requires more system memory ({need:.1f} MiB) than is available ({have:.1f} MiB)"
    )
    assert refused.value.status == 500
    assert running(scheduler) == ["a"]


@virtual_time
async def test_the_number_of_models_may_be_bounded(models: Models):
    scheduler = Scheduler(Settings(max_loaded_models=2), Launcher())
    for name in ("a", "b", "c"):
        await use(scheduler, models[name])
    assert set(running(scheduler)) == {"b", "c"}


@virtual_time
async def test_several_models_load_side_by_side(models: Models):
    launcher, scheduler = started(Settings(memory=10 * least(models["a"])), held=True)
    for name in ("a", "b"):
        ask(scheduler, models[name])
    await settle()
    assert len([launch for launch in launcher.launches if launch.pending]) == 2


@virtual_time
async def test_a_context_grows_into_what_is_free_and_unloads_nobody_for_it(models: Models):
    """With both loaded less is free than the longer context of the second would ask for."""
    launcher, scheduler = started(Settings(memory=(23 << 30) + least(models["a"])))
    for name in ("a", "b"):
        await use(scheduler, models[name], keep_alive=FOREVER)
    assert [launch.spec.num_ctx for launch in launcher.launches] == [32768, 4096]
    assert set(running(scheduler)) == {"a", "b"}
    await use(scheduler, models["b"], Options(num_ctx=8192), keep_alive=FOREVER)
    await use(scheduler, models["b"], keep_alive=FOREVER)
    assert [launch.spec.num_ctx for launch in launcher.launches] == [32768, 4096, 8192]
