"""Recurrent models whose states are rolled back: how far, and the memory that is planned for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from puna.engine import dry_run
from puna.library import Library
from puna.load import Device
from puna.options import Options
from puna.scheduling.choice import choose, memory
from puna.scheduling.facts import Facts, facts_of
from puna.scheduling.memory import PROCESS
from puna.scheduling.placement import Machine
from puna.scheduling.plan import footprint, plan
from puna.settings import Settings
from tests.hybrid_models import DeltaNet, delta_model, mamba2_model
from tests.models import hybrid_model, install, recurrent_model, shape_model

MIB = 1 << 20


def _wide(path: Path) -> None:
    net = DeltaNet(state=128, keys=4, values=8, every=4)
    delta_model(path, layers=8, width=256, heads=4, head_size=64, net=net)


MAKES: dict[str, Callable[[Path], None]] = {
    "lfm2": hybrid_model,
    "delta": delta_model,
    "mamba2": mamba2_model,
    "wide": _wide,
    "plain": shape_model,
    "mamba": recurrent_model,
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("rollback")
    library = Library(folder / "models")
    for name, make in MAKES.items():
        make(folder / name)
        install(library.root, name, folder / name)
    return library


def facts(library: Library, name: str) -> Facts:
    return facts_of(library.open(name))


@pytest.mark.parametrize("name", ["lfm2", "delta", "mamba2", "wide"])
async def test_the_states_that_are_kept_are_planned_for(library: Library, name: str):
    known = facts(library, name)
    spec = plan(known, Options(num_ctx=4096), Settings(), 1 << 34)
    assert spec.rollback == {"lfm2": 15, "mamba2": 7}.get(name, 3)
    found = await dry_run(spec)
    assert found is not None
    needs = footprint(known, spec)
    states = needs.state * spec.states * (1 + spec.rollback)
    assert needs.kv_per_token * spec.pool + states == pytest.approx(found.cache, rel=0.02)
    work = needs.compute - PROCESS - spec.cache - states
    assert found.host - MIB <= work <= found.host + 32 * MIB


def test_as_many_are_kept_as_take_little_memory(library: Library):
    known = facts(library, "wide")
    kept = []
    for available in (1 << 40, 1 << 33, 1 << 32, 1 << 30):
        spec = plan(known, Options(), Settings(), available)
        kept.append(spec.rollback)
        assert spec.rollback * spec.states * footprint(known, spec).state <= available // 16
    assert kept == [3, 3, 1, 0]
    # Fewer sequences at once leave more of it for each.
    alone = plan(known, Options(), Settings(num_parallel=1), 1 << 32)
    assert alone.rollback == 3


@pytest.mark.parametrize("name", ["plain", "mamba"])
def test_others_keep_none(library: Library, name: str):
    assert plan(facts(library, name), Options(), Settings(), 1 << 40).rollback == 0


def test_nothing_is_rolled_back_where_there_are_devices(library: Library):
    known = facts(library, "lfm2")
    size = 1 << 34
    device = Device(name="CUDA0", description="a card", backend="CUDA", shared=False, total=size, free=size)
    for devices, kept in (((), 15), ((memory(device, size),), 0)):
        machine = Machine(size, devices)
        assert choose(known, Options(), Settings(), machine).spec.rollback == kept
