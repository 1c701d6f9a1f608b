"""Requests for more than a model was loaded with, and engines that die."""

from __future__ import annotations

import pytest

from puna.library import Model
from puna.options import Options
from puna.scheduling import Scheduler
from puna.settings import Settings
from tests.scheduling.scripted import (
    Client,
    Launcher,
    Models,
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
async def test_a_larger_context_serves_smaller_requests(models: Models):
    launcher, scheduler = started()
    await use(scheduler, models["a"], Options(num_ctx=8192))
    await use(scheduler, models["a"], Options(num_ctx=512))
    await use(scheduler, models["a"])
    assert len(launcher.launches) == 1


async def asked_for_more(scheduler: Scheduler, model: Model) -> tuple[Client, Client, Client]:
    """An answer in progress, a request for a larger context than it has, and one that came after that."""
    old = await asked(scheduler, model)
    big, newcomer = ask(scheduler, model, Options(num_ctx=8192)), ask(scheduler, model)
    await settle()
    return old, big, newcomer


@virtual_time
async def test_a_request_for_more_reloads_once_the_answers_in_progress_have_ended(models: Models):
    launcher, scheduler = started()
    old, big, newcomer = await asked_for_more(scheduler, models["a"])
    assert big.waits
    assert newcomer.waits, "a stream of small requests would otherwise keep the big one out"
    await old.leave()
    assert [launch.spec.num_ctx for launch in launcher.launches] == [4096, 8192]
    assert big.engine is newcomer.engine is launcher.engines[1]
    assert launcher.engines[0].closed


@virtual_time
async def test_newcomers_are_served_again_when_the_big_request_goes_away(models: Models):
    _, scheduler = started()
    old, big, newcomer = await asked_for_more(scheduler, models["a"])
    assert newcomer.waits
    await big.vanish()
    assert old.holds
    assert newcomer.engine is old.engine


@virtual_time
async def test_clients_with_different_wishes_do_not_reload_in_turns(models: Models):
    launcher, scheduler = started()
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
    launcher, scheduler = started()
    await use(scheduler, models["a"], Options(num_ctx=10**6))
    await use(scheduler, models["a"], Options(num_ctx=10**6))
    assert [launch.spec.num_ctx for launch in launcher.launches] == [32768]
    assert "requested context size too large for model: 1000000, trained on 32768" in caplog.text


@virtual_time
async def test_a_dead_engine_is_replaced(models: Models):
    launcher, scheduler = started()
    witness = await asked(scheduler, models["a"])
    launcher.engines[0].crashed = True
    assert running(scheduler) == []
    after = await asked(scheduler, models["a"])
    assert after.engine is launcher.engines[1]
    await witness.leave()
    assert after.engine.alive
    assert running(scheduler) == ["a"]
