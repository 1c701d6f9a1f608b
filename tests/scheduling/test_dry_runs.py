"""Plans that libllama's dry run corrects before anything is loaded or unloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from puna.engine import dry_run, start
from puna.library import Library, Model
from puna.load import DryRun, LoadSpec
from puna.options import Options
from puna.scheduling import Scheduler
from puna.scheduling.learned import DryRuns, LearnedSizes
from puna.settings import FOREVER, Settings
from tests.models import install, sliding_window_model
from tests.scheduling.cards import M, on_cards
from tests.scheduling.scripted import Launcher, Models, asked, least, running, settle, use, virtual_time


@pytest.fixture(scope="module")
def model(models: Models) -> Model:
    return models["a"]


class FakeDryRun:
    """Is a Scheduler's `dry_run`: every load takes so many bytes."""

    def __init__(self, *, cache: int = 1 * M, work: int = 1 * M, silent: bool = False) -> None:
        self.cache, self.work, self.silent = cache, work, silent
        self.specs: list[LoadSpec] = []

    async def __call__(self, spec: LoadSpec) -> DryRun | None:
        self.specs.append(spec)
        if self.silent:
            return None
        devices = dict.fromkeys(spec.placed.devices, self.work)
        return DryRun(cache=self.cache, devices=devices, host=self.work)


@virtual_time
async def test_where_there_is_room_nobody_waits_for_it(model: Model):
    launcher, scheduler = on_cards(8000, dry_run=(fake := FakeDryRun()))
    await use(scheduler, model)
    assert fake.specs == []
    assert launcher.launches[0].spec.placed.layers == 3


@virtual_time
async def test_a_model_that_takes_less_than_estimated_goes_to_the_device(model: Model):
    launcher, scheduler = on_cards(4, dry_run=FakeDryRun())
    launcher.takes = 3 * M
    await use(scheduler, model)
    assert launcher.launches[0].spec.placed.layers == 3
    _, plain = on_cards(4)
    await use(plain, model)
    assert running(plain) == [model.name.model]


@virtual_time
async def test_a_model_that_takes_more_than_estimated_is_placed_elsewhere_at_once(model: Model):
    launcher, scheduler = on_cards(8, dry_run=FakeDryRun(work=50 * M))
    await use(scheduler, model)
    assert [launch.spec.placed.devices for launch in launcher.launches] == [()]


@virtual_time
async def test_no_plan_is_tried_twice(model: Model):
    launcher, scheduler = on_cards(4, dry_run=(fake := FakeDryRun()))
    launcher.takes = 3 * M
    await use(scheduler, model, keep_alive=0)
    await settle()
    times = len(fake.specs)
    await use(scheduler, model)
    assert times == len(fake.specs) > 0
    assert len(launcher.launches) == 2


@virtual_time
async def test_one_that_says_nothing_keeps_nobody_from_loading(model: Model):
    _, scheduler = on_cards(4, dry_run=FakeDryRun(silent=True))
    await use(scheduler, model)
    assert running(scheduler) == [model.name.model]


@virtual_time
async def test_a_plan_that_is_never_the_same_is_not_tried_for_ever():
    fake, plan = FakeDryRun(), LoadSpec(path="a", num_ctx=64, pool=64, parallel=1)
    dry_runs = DryRuns(fake, LearnedSizes(), lambda: None)
    for pool in range(64, 128):
        if dry_runs.done(replace(plan, pool=pool)):
            break
        await settle()
    assert 0 < len(fake.specs) < 64
    assert not dry_runs.done(replace(plan, path="another model"))
    dry_runs.close()


@virtual_time
async def test_without_devices_only_a_refusal_is_made_sure_of(models: Models):
    launcher, fake = Launcher(), FakeDryRun(cache=0, work=0)
    needs = least(models["a"])
    scheduler = Scheduler(Settings(memory=needs, keep_alive=FOREVER), launcher, dry_run=fake)
    await use(scheduler, models["a"])
    await use(scheduler, models["b"])
    assert fake.specs == []
    await scheduler.close()
    scheduler = Scheduler(Settings(memory=needs - M), launcher, dry_run=fake)
    await use(scheduler, models["a"])
    assert [spec.path for spec in fake.specs] == [str(models["a"].weights)]


@virtual_time
async def test_a_model_that_truly_has_no_place_is_refused(model: Model):
    scheduler = Scheduler(Settings(memory=100 * M), Launcher(), dry_run=FakeDryRun(cache=100 * M))
    client = await asked(scheduler, model, Options(num_ctx=32768))
    assert "than is available (100.0 MiB)" in client.error


async def test_a_model_with_windows_is_not_refused_for_what_it_does_not_take(tmp_path: Path):
    sliding_window_model(
        tmp_path / "window", layers=8, width=256, heads=4, kv_heads=4, context_length=32768, window=64
    )
    install(tmp_path / "models", "window", tmp_path / "window")
    model = Library(tmp_path / "models").open("window")
    options = Options(num_ctx=32768)
    memory = least(model, options) - (64 << 20)
    scheduler = Scheduler(Settings(memory=memory), start, dry_run=dry_run)
    await use(scheduler, model, options)
    assert running(scheduler) == ["window"]
    await scheduler.close()
