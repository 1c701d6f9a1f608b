"""Models with an engine on each of several cards: when they load, who is served where, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from puna.errors import BadRequest
from puna.library import Model
from puna.options import Options
from puna.scheduling import Scheduler
from puna.scheduling.routing import BLOCK
from tests.scheduling.cards import Cards, M, on_cards
from tests.scheduling.scripted import Client, Models, ScriptedEngine, settle, use, virtual_time

TWO = Options(replicas=2, num_ctx=512)
FULL = Options(replicas=2)
"""With the default context: a card of 33 MiB holds one such model."""


@pytest.fixture(scope="module")
def model(models: Models) -> Model:
    return models["a"]


def ask(scheduler: Scheduler, model: Model, options: Options = TWO, said: bytes = b"") -> Client:
    return Client(scheduler.lease(model, options, None, prompt=lambda: said))


async def asked(scheduler: Scheduler, model: Model, options: Options = TWO, said: bytes = b"") -> Client:
    client = ask(scheduler, model, options, said)
    await settle()
    return client


def places(launcher: Cards) -> list[tuple[str, ...]]:
    return [launch.spec.placed.devices for launch in launcher.launches]


def alive(launcher: Cards) -> list[ScriptedEngine]:
    return [engine for engine in launcher.engines if engine.alive]


async def loaded(scheduler: Scheduler, model: Model, options: Options = TWO) -> None:
    await use(scheduler, model, options)
    await settle()


async def one_of_two(model: Model) -> tuple[Cards, Scheduler, Client]:
    """The first engine serves a client while the second one loads."""
    launcher, scheduler = on_cards(300, 300, held=True)
    client = await asked(scheduler, model)
    launcher.launches[0].succeed()
    await settle()
    return launcher, scheduler, client


@virtual_time
async def test_the_first_one_serves_while_the_others_load(model: Model):
    launcher, scheduler = on_cards(300, 400, 350, held=True)
    first = await asked(scheduler, model, Options(replicas=3, num_ctx=512))
    launcher.launches[0].succeed()
    await settle()
    assert first.holds
    assert places(launcher) == [("CUDA1",), ("CUDA2",), ("CUDA0",)]
    assert [launch.pending for launch in launcher.launches] == [False, True, True]
    assert [launch.spec.num_ctx for launch in launcher.launches] == [512] * 3
    await first.leave()


@virtual_time
async def test_each_gets_its_share_and_what_begins_alike_stays_together(model: Model):
    _launcher, scheduler = on_cards(300, 300)
    await loaded(scheduler, model)
    one, other = b"one" * 40 * BLOCK, b"other" * 40 * BLOCK
    clients = [ask(scheduler, model, said=said) for said in (one, other)]
    await settle()
    homes = {said: client.engine for said, client in zip((one, other), clients, strict=True)}
    assert len(set(homes.values())) == 2
    for client in clients:
        await client.leave()
    for said in (other, one, one, other):
        client = await asked(scheduler, model, Options(num_ctx=512), said + b"more" * BLOCK)
        assert client.engine is homes[said]
        await client.leave()


@virtual_time
async def test_a_busy_home_is_left_when_another_is_free(model: Model):
    _launcher, scheduler = on_cards(300, 300, num_parallel=1)
    await loaded(scheduler, model)
    said = b"same" * 100 * BLOCK
    clients = [ask(scheduler, model, said=said) for _ in range(2)]
    await settle()
    assert len({client.engine for client in clients}) == 2
    for client in clients:
        await client.leave()


@virtual_time
async def test_one_line_of_ps_is_all_of_them(model: Model):
    _launcher, scheduler = on_cards(300, 300)
    await loaded(scheduler, model)
    (entry,) = scheduler.loaded_models()
    assert (entry.replicas, entry.size, entry.size_vram) == (2, 14_000, 60 * M)


@virtual_time
async def test_they_stay_as_long_as_one_of_them_is_used(model: Model):
    launcher, scheduler = on_cards(300, 300, keep_alive=50)
    await loaded(scheduler, model)
    client = await asked(scheduler, model)
    await asyncio.sleep(100)
    assert len(alive(launcher)) == 2
    await client.leave()
    await asyncio.sleep(40)
    assert len(alive(launcher)) == 2
    await asyncio.sleep(20)
    assert alive(launcher) == []


@virtual_time
async def test_unload_ends_them_all_and_one_that_is_used_after_its_answer(model: Model):
    launcher, scheduler = on_cards(300, 300)
    await loaded(scheduler, model)
    client = await asked(scheduler, model)
    await scheduler.unload(model)
    assert alive(launcher) == [client.engine]
    await client.leave()
    assert alive(launcher) == []


@virtual_time
async def test_one_that_loads_as_its_model_is_unloaded_ends_too(model: Model):
    launcher, scheduler, client = await one_of_two(model)
    await scheduler.unload(model)
    await client.leave()
    launcher.launches[1].succeed()
    await settle()
    assert alive(launcher) == []


@virtual_time
async def test_none_is_added_where_another_model_has_the_card(models: Models):
    launcher, scheduler = on_cards(33, 33)
    await use(scheduler, models["b"])
    await loaded(scheduler, models["a"], FULL)
    assert len(alive(launcher)) == 2
    await use(scheduler, models["a"], FULL)
    assert [entry.replicas for entry in scheduler.loaded_models()] == [1, 1]
    await scheduler.unload(models["b"])
    await loaded(scheduler, models["a"], FULL)
    assert [entry.replicas for entry in scheduler.loaded_models()] == [2]


@virtual_time
async def test_an_idle_replica_makes_way_for_another_model(models: Models):
    _launcher, scheduler = on_cards(33, 33)
    await loaded(scheduler, models["a"], FULL)
    client = await asked(scheduler, models["a"], FULL)
    await use(scheduler, models["b"])
    assert client.holds
    assert {entry.model.name.model: entry.replicas for entry in scheduler.loaded_models()} == {"a": 1, "b": 1}
    await client.leave()


@virtual_time
async def test_one_that_dies_is_replaced_by_a_later_request(model: Model):
    launcher, scheduler = on_cards(300, 300)
    await loaded(scheduler, model)
    alive(launcher)[0].crashed = True
    client = await asked(scheduler, model, Options(num_ctx=512))
    assert client.engine.alive
    assert len(launcher.launches) == 2
    await client.leave()
    await loaded(scheduler, model)
    assert len(alive(launcher)) == 2
    assert sorted(engine.spec.placed.devices for engine in alive(launcher)) == [("CUDA0",), ("CUDA1",)]


@virtual_time
async def test_one_that_died_is_replaced_by_the_next_request_for_it(model: Model):
    launcher, scheduler = on_cards(300, 300)
    await loaded(scheduler, model)
    alive(launcher)[0].crashed = True
    await loaded(scheduler, model)
    assert len(alive(launcher)) == 2


@virtual_time
async def test_one_that_cannot_load_leaves_the_others_and_is_not_tried_again_at_once(model: Model):
    launcher, scheduler, client = await one_of_two(model)
    launcher.launches[1].fail("no such thing")
    await settle()
    assert client.holds
    await client.leave()
    await loaded(scheduler, model)
    assert len(launcher.launches) == 2
    # A load of another engine is a reason to try again.
    await scheduler.unload(model)
    client = await asked(scheduler, model)
    launcher.launches[2].succeed()
    await settle()
    assert len(launcher.launches) == 4
    launcher.launches[3].fail("no such thing")
    await client.leave()


@virtual_time
async def test_a_larger_context_loads_them_anew(model: Model):
    launcher, scheduler = on_cards(300, 300)
    await loaded(scheduler, model)
    await loaded(scheduler, model, Options(replicas=2, num_ctx=2048))
    assert [engine.spec.num_ctx for engine in alive(launcher)] == [2048, 2048]
    assert len(launcher.launches) == 4


@virtual_time
async def test_without_room_the_devices_are_not_looked_at_for_each_request(model: Model):
    launcher, scheduler = on_cards(300, 1)
    await loaded(scheduler, model)
    looks = launcher.looks
    for _ in range(5):
        await asyncio.sleep(100)
        await loaded(scheduler, model)
    assert launcher.looks == looks
    assert len(launcher.launches) == 1


@virtual_time
async def test_no_card_has_two(model: Model):
    _launcher, scheduler = on_cards(4000)
    client = await asked(scheduler, model)
    assert "this machine has 1 GPU" in client.error


@virtual_time
async def test_where_there_is_no_card_the_option_says_nothing(model: Model):
    launcher, scheduler = on_cards()
    await loaded(scheduler, model, Options(replicas=7))
    assert len(launcher.launches) == 1


@virtual_time
async def test_one_card_each_comes_before_spreading(model: Model):
    launcher, scheduler = on_cards(300, 300, spread=True)
    await loaded(scheduler, model)
    assert sorted(places(launcher)) == [("CUDA0",), ("CUDA1",)]


@pytest.mark.parametrize("given", [-1, -0.5, "2", True, float("nan"), 1 << 64, [2]])
def test_what_is_no_count_is_refused_by_name(given: Any):
    with pytest.raises(BadRequest, match='"replicas" must be') as refused:
        Options().override({"replicas": given})
    assert refused.value.field == "options.replicas"


@virtual_time
async def test_one_model_is_not_divided_and_multiplied(model: Model):
    launcher, scheduler = on_cards(300, 300)
    client = await asked(scheduler, model, Options(replicas=2, tensor_split=(1.0, 1.0)))
    assert client.task.done()
    assert isinstance(error := client.task.exception(), BadRequest)
    assert error.field == "options.replicas"
    assert launcher.launches == []
