from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from puna.library import Library, Model
from puna.scheduling import Scheduler
from puna.scheduling.plan import Facts, footprint, plan
from puna.settings import FOREVER, Settings
from puna.types import Busy, LoadFailed, LoadSpec, Options, PunaError
from tests.models import install, shape_model
from tests.scheduling.scripted import Client, Launcher, ScriptedEngine, running, settle, virtual_time

Models = dict[str, Model]
PLAIN = Options()
BUSY = "server busy, please try again.  maximum pending requests exceeded"


def least(model: Model, options: Options = PLAIN) -> int:
    """Bytes that a model needs at the least."""
    facts = Facts(str(model.weights), model.weights.stat().st_size, model.metadata)
    spec = plan(facts, options, Settings(), 0)
    return footprint(facts, spec).total(spec.pool)


def room_for(models: int, model: Model) -> Settings:
    return Settings(memory=int((models + 0.5) * least(model)))


def ask(
    scheduler: Scheduler, model: Model, options: Options = PLAIN, keep_alive: float | None = None
) -> Client:
    return Client(scheduler.lease(model, options, keep_alive))


async def use(scheduler: Scheduler, model: Model, options: Options = PLAIN, keep_alive: float | None = None):
    async with scheduler.lease(model, options, keep_alive):
        pass


# Loading


@virtual_time
async def test_concurrent_first_requests_load_a_model_once(models: Models):
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(), launcher)
    clients = [ask(scheduler, models["a"]) for _ in range(5)]
    await settle()
    assert len(launcher.launches) == 1
    assert all(client.waits for client in clients)
    assert running(scheduler) == []
    launcher.launches[0].succeed()
    await settle()
    assert {client.engine for client in clients} == set(launcher.engines)
    later = ask(scheduler, models["a"])
    await settle()
    assert later.engine is launcher.engines[0]


@virtual_time
async def test_two_names_for_the_same_weights_share_an_engine(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
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
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(), launcher)
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
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(), launcher)
    client = ask(scheduler, models["a"], keep_alive=60)
    await settle()
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
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(), launcher)
    client = ask(scheduler, models["a"], keep_alive=0)
    await settle()
    launcher.launches[0].succeed()
    while not running(scheduler):
        await asyncio.sleep(0)
    await client.vanish()
    assert launcher.engines[0].closed


@virtual_time
async def test_a_failed_load_is_told_to_all_who_wait_and_tried_again_for_the_next(models: Models):
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(), launcher)
    clients = [ask(scheduler, models["a"]) for _ in range(3)]
    await settle()
    launcher.launches[0].fail("tensor 'x' is missing")
    await settle()
    for client in clients:
        assert isinstance(client.task.exception(), LoadFailed)
        assert client.error == "tensor 'x' is missing"
    again = ask(scheduler, models["a"])
    await settle()
    launcher.launches[1].succeed()
    await settle()
    assert again.holds


@virtual_time
async def test_what_start_did_not_foresee_fails_the_load_and_nothing_else(models: Models):
    async def start(spec: LoadSpec) -> ScriptedEngine:
        raise OSError("no more processes")

    scheduler = Scheduler(Settings(), start)
    client = ask(scheduler, models["a"])
    await settle()
    assert isinstance(client.task.exception(), LoadFailed)
    assert client.error == "unable to load model: no more processes"


@virtual_time
async def test_a_load_has_only_so_much_time(models: Models):
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(load_timeout=20), launcher)
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


# Keep-alive


@virtual_time
async def test_a_model_stays_for_its_keep_alive_after_the_last_lease(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(keep_alive=300), launcher)
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
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
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
    b, c, a = scheduler.loaded()
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
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
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
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
    client = ask(scheduler, models["a"])
    await settle()
    await scheduler.unload(models["a"])
    assert not launcher.engines[0].closed
    await client.leave()
    assert launcher.engines[0].closed


# Reloads


@virtual_time
async def test_a_larger_context_serves_smaller_requests(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
    await use(scheduler, models["a"], Options(num_ctx=8192))
    await use(scheduler, models["a"], Options(num_ctx=512))
    await use(scheduler, models["a"])
    assert len(launcher.launches) == 1


@virtual_time
async def test_a_request_for_more_reloads_once_the_answers_in_progress_have_ended(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
    old = ask(scheduler, models["a"])
    await settle()
    big = ask(scheduler, models["a"], Options(num_ctx=8192))
    newcomer = ask(scheduler, models["a"])
    await settle()
    assert big.waits
    assert newcomer.waits, "a stream of small requests would otherwise keep the big one out"
    await old.leave()
    assert [launch.spec.num_ctx for launch in launcher.launches] == [4096, 8192]
    assert big.engine is newcomer.engine is launcher.engines[1]
    assert launcher.engines[0].closed


@virtual_time
async def test_newcomers_are_served_again_when_the_big_request_goes_away(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
    old = ask(scheduler, models["a"])
    await settle()
    big = ask(scheduler, models["a"], Options(num_ctx=8192))
    newcomer = ask(scheduler, models["a"])
    await settle()
    assert newcomer.waits
    await big.vanish()
    assert old.holds
    assert newcomer.engine is old.engine


@virtual_time
async def test_clients_with_different_wishes_do_not_reload_in_turns(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
    for _ in range(3):
        await use(scheduler, models["a"], Options(num_ctx=8192))
        await use(scheduler, models["a"], Options(num_batch=1024))
    assert [(launch.spec.num_ctx, launch.spec.num_batch) for launch in launcher.launches] == [
        (8192, 512),
        (8192, 1024),
    ]


@virtual_time
async def test_a_wish_that_does_not_fit_beside_the_old_one_is_met_alone(models: Models):
    launcher = Launcher()
    memory = max(least(models["a"], Options(num_ctx=32768)), least(models["a"], Options(num_batch=2048)))
    scheduler = Scheduler(Settings(memory=memory), launcher)
    await use(scheduler, models["a"], Options(num_ctx=32768))
    await use(scheduler, models["a"], Options(num_batch=2048))
    assert [launch.spec.num_ctx for launch in launcher.launches] == [32768, 4096]


@virtual_time
async def test_a_context_beyond_the_models_own_is_cut_with_a_warning(
    models: Models, caplog: pytest.LogCaptureFixture
):
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
    await use(scheduler, models["a"], Options(num_ctx=10**6))
    await use(scheduler, models["a"], Options(num_ctx=10**6))
    assert [launch.spec.num_ctx for launch in launcher.launches] == [32768]
    assert "requested context size too large for model: 1000000, trained on 32768" in caplog.text


@virtual_time
async def test_a_dead_engine_is_replaced(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(), launcher)
    witness = ask(scheduler, models["a"])
    await settle()
    launcher.engines[0].crashed = True
    assert running(scheduler) == []
    after = ask(scheduler, models["a"])
    await settle()
    assert after.engine is launcher.engines[1]
    await witness.leave()
    assert after.engine.alive
    assert running(scheduler) == ["a"]


# Memory


@virtual_time
async def test_the_least_recently_used_idle_model_makes_room(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(room_for(2, models["a"]), launcher)
    await use(scheduler, models["a"])
    await use(scheduler, models["b"], keep_alive=FOREVER)
    await use(scheduler, models["a"])
    await use(scheduler, models["c"])
    assert set(running(scheduler)) == {"a", "c"}


@virtual_time
async def test_a_load_waits_until_the_memory_is_free_indeed(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(room_for(1, models["a"]), launcher)
    await use(scheduler, models["a"])
    launcher.engines[0].may_close.clear()
    client = ask(scheduler, models["b"])
    await settle()
    assert launcher.engines[0].closed
    assert len(launcher.launches) == 1
    launcher.engines[0].may_close.set()
    await settle()
    assert client.holds


@virtual_time
async def test_with_nothing_idle_a_request_waits_for_a_lease_to_end(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(room_for(1, models["a"]), launcher)
    streams = [ask(scheduler, models["a"]) for _ in range(2)]
    await settle()
    other = ask(scheduler, models["b"])
    newcomer = ask(scheduler, models["a"])
    await settle()
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
    launcher = Launcher()
    scheduler = Scheduler(room_for(2, models["a"]), launcher)
    a, b = ask(scheduler, models["a"]), ask(scheduler, models["b"])
    await settle()
    third = ask(scheduler, models["c"])
    on_b = ask(scheduler, models["b"])
    await settle()
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
    holder = ask(scheduler, models["a"])
    await settle()
    waiting = ask(scheduler, models["b"], big)
    small = ask(scheduler, models["c"])
    await settle()
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
    memory = least(models["a"]) + least(models["c"]) + 2**20
    scheduler = Scheduler(Settings(memory=memory, num_parallel=1), Launcher())
    holder = ask(scheduler, models["a"])
    await settle()
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
    launcher = Launcher(held=True)
    scheduler = Scheduler(Settings(memory=10 * least(models["a"])), launcher)
    for name in ("a", "b"):
        ask(scheduler, models[name])
    await settle()
    assert len([launch for launch in launcher.launches if launch.pending]) == 2


# The queue


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


# The end


@virtual_time
async def test_closing_ends_everything(models: Models):
    launcher = Launcher()
    scheduler = Scheduler(Settings(memory=int(2.5 * least(models["a"]))), launcher)
    held, idle = ask(scheduler, models["a"]), ask(scheduler, models["b"], keep_alive=math.inf)
    await settle()
    await idle.leave()
    launcher.held = True
    loading = ask(scheduler, models["c"])
    await settle()
    assert len(launcher.launches) == 3
    queued = ask(scheduler, models["b"])
    await settle()
    await scheduler.close()
    await settle()
    assert all(engine.closed for engine in launcher.engines)
    assert launcher.launches[2].cancelled
    assert loading.error == queued.error == "server is shutting down"
    late = ask(scheduler, models["a"])
    await settle()
    assert late.error == "server is shutting down"
    await held.leave()
    assert held.task.exception() is None
    assert scheduler.loaded() == []
