"""Models with a draft model: it is loaded beside the weights, and its memory is planned for."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from puna.engine import dry_run
from puna.errors import LoadFailed
from puna.library import Layer, Library, Name
from puna.options import Options
from puna.scheduling import Scheduler
from puna.scheduling.facts import facts_of
from puna.scheduling.memory import PROCESS
from puna.scheduling.plan import drafter_size, footprint, plan
from puna.settings import Settings
from tests import ollama_qwen
from tests.models import add_layer, install, shape_model
from tests.mtp_models import random_mtp_model
from tests.scheduling.scripted import Launcher, ask, least, running, settle, started, use, virtual_time

MIB = 1 << 20


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """`alone`, and the same weights with a draft model under `beside`."""
    folder = tmp_path_factory.mktemp("drafts")
    library = Library(folder / "models")
    shape_model(folder / "weights", seed=1)
    shape_model(folder / "draft", layers=8, width=256, heads=8, kv_heads=8)
    install(library.root, "alone", folder / "weights")
    install(library.root, "draft", folder / "draft")
    add_layer(library, "alone", "draft", folder / "draft", name="beside")
    return library


@virtual_time
async def test_a_model_with_a_draft_is_another_than_the_same_weights_alone(library: Library):
    launcher, scheduler = started()
    clients = [ask(scheduler, library.open(name)) for name in ("beside", "alone", "beside")]
    await settle()
    assert [launch.spec.draft for launch in launcher.launches] == [str(library.open("draft").weights), ""]
    assert clients[0].engine is clients[2].engine
    assert clients[0].engine is not clients[1].engine


@virtual_time
async def test_one_with_a_draft_is_unloaded_as_itself(library: Library):
    scheduler = Scheduler(Settings(), Launcher())
    await use(scheduler, beside := library.open("beside"))
    await use(scheduler, library.open("alone"))
    await scheduler.unload(beside)
    assert running(scheduler) == ["alone"]


def test_its_memory_is_planned_for(library: Library):
    sizes = [least(library.open(name), Options(num_ctx=4096)) for name in ("alone", "beside")]
    kv = 4096 * 8 * 8 * (2 * 32) * 2
    draft = library.open("draft").weights.stat().st_size
    assert draft + kv < sizes[1] - sizes[0] < draft + kv + 64 * MIB


async def test_the_memory_of_an_mtp_layer_is_planned_for(library: Library, tmp_path: Path):
    random_mtp_model(tmp_path / "m.gguf")
    install(library.root, "mtp", tmp_path / "m.gguf")
    facts = facts_of(library.open("mtp"))
    spec = plan(facts, Options(num_ctx=4096), Settings(), 1 << 34)
    found = await dry_run(spec)
    assert found is not None
    needs = footprint(facts, spec)
    assert found.cache <= needs.kv_per_token * spec.pool <= 1.1 * found.cache
    work = needs.compute - PROCESS - spec.cache
    assert found.host <= work <= found.host + 16 * MIB


def test_the_memory_of_an_mtp_layer_in_ollamas_form_is_planned_for(library: Library, tmp_path: Path):
    random_mtp_model(tmp_path / "new", family="qwen35")
    ollama_qwen.qwen35(tmp_path / "new", None, tmp_path / "old")
    needs: list[tuple[int, int, int]] = []
    for name in ("new", "old"):
        install(library.root, name, tmp_path / name)
        facts = facts_of(library.open(name))
        spec = plan(facts, Options(num_ctx=4096), Settings(), 1 << 34)
        found = footprint(facts, spec)
        needs.append((found.kv_per_token, found.state, found.compute - spec.cache))
        assert drafter_size(facts, spec)
        assert not drafter_size(facts, replace(spec, rollback=0))
    assert needs[0] == needs[1]


@virtual_time
async def test_a_missing_draft_is_named(library: Library):
    alone = library.open("alone")
    gone = Layer("application/vnd.ollama.image.draft", *library.blobs.add([b"GGUF"]))
    library.write_manifest(Name.parse("gone"), alone.config, [*alone.layers, gone])
    library.blobs.path(gone.digest).unlink()
    with pytest.raises(LoadFailed, match=f"{gone.digest} is missing"):
        await use(Scheduler(Settings(), Launcher()), library.open("gone"))
