"""Models over the same weights with different LoRA adapters are different models in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.errors import LoadFailed
from puna.library import Layer, Library, Name
from puna.scheduling import Scheduler
from puna.settings import Settings
from tests.models import install, shape_model
from tests.scheduling.scripted import PLAIN, Launcher, ask, least, running, settle, started, use, virtual_time

ADAPTER_SIZE = 48 << 20


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """`plain`, and the same weights under `one`, `same` (adapter x), `other` (y) and `both` (x and y)."""
    folder = tmp_path_factory.mktemp("adapters")
    library = Library(folder / "models")
    shape_model(folder / "weights")
    install(library.root, "plain", folder / "weights")
    plain = library.open("plain")
    x, y = (
        Layer("application/vnd.ollama.image.adapter", *library.blobs.add([letter * ADAPTER_SIZE]))
        for letter in (b"x", b"y")
    )
    for name, adapters in {"one": [x], "same": [x], "other": [y], "both": [x, y]}.items():
        library.write_manifest(Name.parse(name), plain.config, [*plain.layers, *adapters])
    return library


@virtual_time
async def test_the_engine_is_given_the_adapters_in_their_order(library: Library):
    launcher = Launcher()
    await use(Scheduler(Settings(), launcher), both := library.open("both"))
    (launch,) = launcher.launches
    assert launch.spec.path == str(both.weights)
    assert launch.spec.adapters == tuple(map(str, both.adapters))
    assert [Path(path).read_bytes()[:1] for path in launch.spec.adapters] == [b"x", b"y"]


@virtual_time
async def test_only_models_with_the_same_adapters_share_an_engine(library: Library):
    launcher, scheduler = started()
    names = ["plain", "one", "other", "both", "same"]
    clients = {name: ask(scheduler, library.open(name)) for name in names}
    await settle()
    assert len(launcher.launches) == 4
    assert clients["same"].engine is clients["one"].engine
    assert len({client.engine for client in clients.values()}) == 4


@virtual_time
async def test_unloading_one_leaves_the_others(library: Library):
    _, scheduler = started()
    for name in ("plain", "one", "other"):
        await use(scheduler, library.open(name))
    await scheduler.unload(library.open("same"))
    assert sorted(running(scheduler)) == ["other", "plain"]


@virtual_time
async def test_adapters_count_as_weights(library: Library):
    plain, both = least(library.open("plain")), least(library.open("both"))
    assert both - plain == 2 * ADAPTER_SIZE
    _, scheduler = started(Settings(memory=plain + both - 1))
    await use(scheduler, library.open("plain"))
    await use(scheduler, library.open("both"))
    assert running(scheduler) == ["both"]


@virtual_time
async def test_a_missing_adapter_is_named(library: Library):
    plain = library.open("plain")
    lost = Layer("application/vnd.ollama.image.adapter", *library.blobs.add([b"soon gone"]))
    library.write_manifest(Name.parse("lost"), plain.config, [*plain.layers, lost])
    (path,) = library.open("lost").adapters
    path.unlink()
    scheduler = Scheduler(Settings(), Launcher())
    with pytest.raises(LoadFailed, match=f"{lost.digest} is missing"):
        async with scheduler.lease(library.open("lost"), PLAIN, None):
            pass
