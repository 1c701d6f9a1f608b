"""What is told of where a model would go, beside where it then goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from puna.library import Library
from puna.scheduling import forecast
from puna.scheduling.choice import describe
from puna.settings import Settings
from tests.models import install, shape_model
from tests.scheduling.cards import HOST, card, on_cards
from tests.scheduling.scripted import Models, use, virtual_time

SETTINGS = Settings(memory=HOST)


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forecast") / "m"
    shape_model(path)
    return path


def told(shaped: Path, free: int, **parameters: Any) -> str:
    """Of a model with these parameters of its own."""
    store = shaped.parent / "models"
    install(store, "m", shaped, parameters=parameters)
    return forecast(Library(store).open("m"), SETTINGS, [card(free)])


@virtual_time
async def test_it_is_where_the_model_then_goes(models: Models):
    for free in (500, 1):
        launcher, scheduler = on_cards(free)
        await use(scheduler, models["a"])
        spec = launcher.launches[0].spec
        where = forecast(models["a"], SETTINGS, [card(free)])
        assert where.startswith(describe(spec.placed, {}).partition(" (")[0])
        assert where.endswith(f"context {spec.num_ctx}")


def test_a_models_own_parameters_count(shaped: Path):
    assert told(shaped, 500, num_gpu=1, num_ctx=512).startswith("1 layers on CUDA0")
    assert told(shaped, 500, num_gpu=0, num_ctx=512) == "all on the CPU, context 512"


def test_what_cannot_be_is_told_instead(shaped: Path):
    assert "main_gpu" in told(shaped, 500, main_gpu=4)
    assert "of GPU memory (1.0 MiB available)" in told(shaped, 1, num_gpu=99)
    assert "num_ctx" in told(shaped, 500, num_ctx="many")


def test_a_model_whose_file_is_gone_is_named_for_it(tmp_path: Path, shaped: Path):
    install(tmp_path, "m", shaped)
    model = Library(tmp_path).open("m")
    model.weights.unlink()
    assert str(model.weights) in forecast(model, SETTINGS, [card(500)])
