"""Models on devices: what each gets, who makes way, and what is learned from what engines report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from puna.errors import BadRequest
from puna.library import Model
from puna.options import Options
from puna.scheduling import patterns
from puna.scheduling.choice import Choice, choose
from puna.scheduling.facts import Facts
from puna.scheduling.learned import LearnedSizes
from puna.scheduling.machine import device_room
from puna.scheduling.placement import Machine, Memory
from puna.settings import Settings
from tests.scheduling.cards import M, card, on_cards
from tests.scheduling.scripted import Models, asked, running, use, virtual_time


@pytest.fixture(scope="module")
def model(models: Models) -> Model:
    return models["a"]


@pytest.fixture(scope="module")
def others(models: Models) -> list[Model]:
    return [models["b"], models["c"]]


def facts(model: Model) -> Facts:
    size = model.weights.stat().st_size
    return Facts(str(model.weights), size, model.metadata, tensors=model.metadata.tensors)


def machine(*devices: int, host: int = 8 << 30) -> Machine:
    return Machine(host, tuple(Memory(f"CUDA{i}", free * M) for i, free in enumerate(devices)))


def chosen(model: Model, where: Machine, settings: Settings = Settings(), **options: Any) -> Choice:  # noqa: B008
    return choose(facts(model), Options(**options), settings, where)


def on(choice: Choice) -> dict[str, int]:
    placed = choice.spec.placed
    return dict(zip(placed.devices, placed.split, strict=True))


def test_all_goes_to_the_device_with_the_most_room(model: Model):
    assert on(chosen(model, machine(100, 300, 200))) == {"CUDA1": 3}


def test_a_device_is_asked_for_by_its_number(model: Model):
    assert on(chosen(model, machine(100, 300, 200), main_gpu=2)) == {"CUDA2": 3}


def test_spreading_uses_them_all(model: Model):
    assert on(chosen(model, machine(100, 200, 100), Settings(spread=True))) == {"CUDA1": 2, "CUDA0": 1}
    assert set(on(chosen(model, machine(300, 300, 300), Settings(spread=True)))) == {
        "CUDA0",
        "CUDA1",
        "CUDA2",
    }


def test_a_division_is_kept_to(model: Model):
    assert on(chosen(model, machine(100, 300, 200), tensor_split=(2.0, 0.0, 1.0))) == {"CUDA0": 2, "CUDA2": 1}
    assert on(chosen(model, machine(100, 300), tensor_split=(1.0,))) == {"CUDA0": 3}


@pytest.mark.parametrize(("asked", "layers"), [(0, 0), (1, 1), (2, 2), (3, 3), (99, 3), (-1, 3)])
def test_layers_are_counted_as_libllama_counts_them(model: Model, asked: int, layers: int):
    choice = chosen(model, machine(300), num_gpu=asked)
    assert choice.spec.placed.layers == layers
    assert choice.fits


def test_tensors_go_where_they_are_sent(model: Model):
    rules = (r"blk\.0\.ffn=CPU", "attn_q=CUDA1")
    choice = chosen(model, machine(300, 200), override_tensor=rules, num_gpu=3)
    assert choice.spec.placed.overrides == ((r"blk\.0\.ffn", "CPU"), ("attn_q", "CUDA1"))
    assert on(choice) == {"CUDA0": 3, "CUDA1": 0}
    assert choice.spec.placed.last == "CUDA0"
    assert choice.host > chosen(model, machine(300, 200)).host


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"main_gpu": 2}, "this machine has 2 GPUs"),
        ({"tensor_split": (1.0, 1.0, 1.0)}, "for 3 GPUs"),
        ({"tensor_split": (0.0, 0.0)}, "not all 0"),
        ({"tensor_split": (-1.0, 2.0)}, "from 0 on"),
        ({"tensor_split": (float("nan"), 1.0)}, "from 0 on"),
        ({"override_tensor": ("ffn=CUDA7",)}, '"CUDA7" is not one of CPU, CUDA0, CUDA1'),
        ({"override_tensor": ("ffn",)}, '"ffn" is not one of'),
        ({"override_tensor": ("(=CPU",)}, "no regular expression"),
        ({"override_tensor": ("f{99999999999}=CPU",)}, "no regular expression"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(model: Model, options: dict[str, Any], said: str):
    with pytest.raises(BadRequest, match="cannot be followed") as refused:
        chosen(model, machine(100, 100), **options)
    assert said in str(refused.value)
    assert refused.value.field == f"options.{next(iter(options))}"
    assert chosen(model, machine(), **options).fits  # where there is no GPU they say nothing


def test_what_no_device_holds_does_not_fit(model: Model):
    assert not chosen(model, machine(1), num_gpu=99).fits
    assert chosen(model, machine(1)).spec.placed.devices == ()


def test_a_limit_makes_the_next_plan_smaller(model: Model):
    learned, where = LearnedSizes(), machine(300)
    first = choose(facts(model), Options(), Settings(), where, learned)
    assert learned.set_limits(facts(model).key, first.devices())
    second = choose(facts(model), Options(), Settings(), where, learned)
    assert 0 <= second.devices().get("CUDA0", 0) <= 0.8 * first.devices()["CUDA0"]
    assert not learned.set_limits(facts(model).key, second.devices())


def test_each_device_has_a_limit_of_its_own(model: Model):
    learned, where = LearnedSizes(), machine(300, 400)
    assert learned.set_limits(facts(model).key, {"CUDA1": 100 * M})
    assert learned.set_limits(facts(model).key, {"CUDA0": 50 * M})
    assert not learned.set_limits(facts(model).key, {"CUDA0": 40 * M, "CUDA1": 80 * M})
    assert [device.free for device in learned.limit_machine(facts(model).key, where).devices] == [
        40 * M,
        80 * M,
    ]


def test_a_second_plan_is_what_the_first_engine_took(model: Model):
    learned, where = LearnedSizes(), machine(900)
    first = choose(facts(model), Options(num_ctx=512), Settings(), where, learned)
    learned.note(first.spec, first.devices(), {"CUDA0": first.devices()["CUDA0"] + 77 * M})
    second = choose(facts(model), Options(num_ctx=512), Settings(), where, learned)
    assert second.devices()["CUDA0"] == first.devices()["CUDA0"] + 77 * M


@virtual_time
async def test_devices_are_looked_at_before_each_load(model: Model, others: list[Model]):
    launcher, scheduler = on_cards(500)
    await use(scheduler, model)
    await use(scheduler, model)
    assert launcher.looks == 1
    await use(scheduler, others[0])
    assert launcher.looks == 2
    assert [launch.spec.placed.devices for launch in launcher.launches] == [("CUDA0",), ("CUDA0",)]
    assert [entry.size_vram for entry in scheduler.loaded_models()] == [30 * M, 30 * M]


@virtual_time
async def test_idle_models_make_way_for_one_that_would_be_slower(model: Model, others: list[Model]):
    launcher, scheduler = on_cards(33)
    await use(scheduler, model)
    await use(scheduler, others[0])
    assert running(scheduler) == [others[0].name.model]
    assert launcher.launches[-1].spec.placed.layers == 3


@virtual_time
async def test_busy_models_stay_where_another_has_any_place(model: Model, others: list[Model]):
    launcher, scheduler = on_cards(33)
    first = await asked(scheduler, model)
    second = await asked(scheduler, others[0])
    assert first.holds
    assert second.holds
    assert [launch.spec.placed.layers for launch in launcher.launches] == [3, 0]
    await first.leave()
    await second.leave()


@virtual_time
async def test_two_cards_hold_two_models(model: Model, others: list[Model]):
    launcher, scheduler = on_cards(33, 33)
    await use(scheduler, model)
    await use(scheduler, others[0])
    assert {launch.spec.placed.devices for launch in launcher.launches} == {("CUDA0",), ("CUDA1",)}
    assert len(running(scheduler)) == 2


@virtual_time
async def test_a_load_that_fails_on_a_device_is_tried_once_with_less(model: Model):
    launcher, scheduler = on_cards(500)
    launcher.fails = 1
    await use(scheduler, model)
    first, second = (launch.spec for launch in launcher.launches)
    assert second.pool < first.pool or second.placed.layers < first.placed.layers


@virtual_time
async def test_one_that_fails_again_is_refused(model: Model):
    launcher, scheduler = on_cards(500)
    launcher.fails = 5
    client = await asked(scheduler, model)
    assert "out of memory" in client.error
    assert len(launcher.launches) == 2


@virtual_time
async def test_no_place_is_told_with_the_numbers(model: Model):
    launcher, scheduler = on_cards(1)
    client = await asked(scheduler, model, Options(num_gpu=99))
    assert "of GPU memory (1.0 MiB available)" in client.error
    assert launcher.launches == []


@virtual_time
async def test_an_option_that_cannot_be_followed_unloads_nobody(model: Model):
    _, scheduler = on_cards(500)
    await use(scheduler, model)
    client = await asked(scheduler, model, Options(main_gpu=3))
    assert "this machine has 1 GPU," in client.error
    assert running(scheduler) == [model.name.model]


@virtual_time
async def test_devices_that_are_gone_are_not_used(model: Model, others: list[Model]):
    launcher, scheduler = on_cards(500)
    await use(scheduler, model)
    launcher.sizes = ()
    await use(scheduler, others[0])
    assert launcher.launches[-1].spec.placed.devices == ()


def test_overhead_stays_free():
    plain, kept = (
        device_room([card(900, 100 * M)], [], [], s)[0] for s in (Settings(), Settings(gpu_overhead=100 * M))
    )
    assert plain.devices[0].free - kept.devices[0].free == 100 * M
    assert replace(plain.devices[0], free=0) == replace(kept.devices[0], free=0)


async def test_a_pattern_that_takes_for_ever_stalls_nobody(model: Model, monkeypatch: pytest.MonkeyPatch):
    cards, scheduler = on_cards(300)
    with monkeypatch.context() as soon:
        soon.setattr(patterns, "_PATIENCE", 0.5)
        with pytest.raises(BadRequest, match="takes too long") as refused:
            async with scheduler.lease(model, Options(override_tensor=(r"(.|.)*!=CPU",)), None):
                pass
    assert refused.value.field == "options.override_tensor"
    rules = (r"blk\.0\.ffn=CPU", "(=CPU")
    async with scheduler.lease(model, Options(override_tensor=rules[:1]), None):
        assert cards.launches[0].spec.override_tensor == rules[:1]
    with pytest.raises(BadRequest, match="no regular expression"):
        async with scheduler.lease(model, Options(override_tensor=rules), None):
            pass
    await scheduler.close()
