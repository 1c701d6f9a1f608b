"""Models that see: the projector is loaded with the weights, and its memory is planned for."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.errors import LoadFailed, PunaError
from puna.gguf import Metadata
from puna.library import Layer, Library, Name
from puna.options import Options
from puna.scheduling import Scheduler
from puna.scheduling.memory import estimate_projector
from puna.settings import Settings
from tests.models import add_layer, install, shape_model
from tests.scheduling.scripted import PLAIN, Launcher, ask, least, running, settle, started, use, virtual_time
from tests.vision_models import llava_projector

MIB = 1 << 20


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """`blind`, and the same weights with a projector under `seeing`."""
    folder = tmp_path_factory.mktemp("projectors")
    library = Library(folder / "models")
    shape_model(folder / "weights")
    install(library.root, "blind", folder / "weights")
    llava_projector(folder / "projector")
    add_layer(library, "blind", "projector", folder / "projector", name="seeing")
    return library


@virtual_time
async def test_the_engine_is_given_the_projector(library: Library):
    launcher, scheduler = started()
    await use(scheduler, seeing := library.open("seeing"))
    await use(scheduler, library.open("blind"))
    assert [launch.spec.projector for launch in launcher.launches] == [str(seeing.projectors[0]), ""]
    await scheduler.unload(seeing)
    assert running(scheduler) == ["blind"]


@virtual_time
async def test_a_model_that_sees_is_another_than_the_same_weights_alone(library: Library):
    launcher, scheduler = started()
    clients = [ask(scheduler, library.open(name)) for name in ("seeing", "blind", "seeing")]
    await settle()
    assert len(launcher.launches) == 2
    assert clients[0].engine is clients[2].engine
    assert clients[0].engine is not clients[1].engine


@virtual_time
async def test_a_projector_counts(library: Library):
    seeing = library.open("seeing")
    size = seeing.projectors[0].stat().st_size
    projector = estimate_projector(seeing.projector_metadata, size, num_ctx=4)
    assert projector > size
    smallest = Options(num_ctx=4)
    needs = least(library.open("blind"), smallest) + projector
    with pytest.raises(PunaError, match="requires more system memory"):
        async with Scheduler(Settings(memory=needs - 1), Launcher()).lease(seeing, smallest, None):
            pass
    async with Scheduler(Settings(memory=needs), Launcher()).lease(seeing, smallest, None) as lease:
        assert lease.engine.alive


def test_the_work_for_a_picture_is_what_libmtmd_reserves():
    """Of Gemma 3's encoder, for 896 x 896 pixels, it says: CPU compute buffer size = 148.50 MiB."""
    shape = {"image_size": 896, "patch_size": 14, "embedding_length": 1152, "feed_forward_length": 4304}
    values = {f"clip.vision.{key}": value for key, value in shape.items()}
    siglip = Metadata({"general.architecture": "clip"} | values, tensors=[], parameter_count=0)
    bare = Metadata({"general.architecture": "clip"}, tensors=[], parameter_count=0)
    work = estimate_projector(siglip, 0, 4096) - estimate_projector(bare, 0, 4096)
    assert 148.5 * MIB <= work <= 1.25 * 148.5 * MIB
    assert estimate_projector(siglip, 0, 1 << 20) < 2048 * MIB


def test_the_work_for_a_sound_is_what_libmtmd_takes():
    """With the shape of Whisper's largest encoder a process grew by 65 MiB more than the file."""
    values = {"clip.audio.embedding_length": 1280, "clip.audio.feed_forward_length": 5120}
    whisper = Metadata({"general.architecture": "clip"} | values, tensors=[], parameter_count=0)
    bare = Metadata({"general.architecture": "clip"}, tensors=[], parameter_count=0)
    work = estimate_projector(whisper, 0, 4096) - estimate_projector(bare, 0, 4096)
    assert 65 * MIB <= work <= 1.25 * 65 * MIB


@virtual_time
async def test_a_missing_projector_is_named(library: Library):
    seeing = library.open("seeing")
    gone = Layer("application/vnd.ollama.image.projector", *library.blobs.add([b"soon gone"]))
    library.write_manifest(Name.parse("lost"), seeing.config, [*seeing.layers[:-1], gone])
    path: Path = library.open("lost").projectors[0]
    path.unlink()
    with pytest.raises(LoadFailed, match=gone.digest.replace(":", ".")):
        async with Scheduler(Settings(), Launcher()).lease(library.open("lost"), PLAIN, None):
            pass
