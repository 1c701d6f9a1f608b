"""A Gemma 4 with its encoders of pictures and sounds inside answers as the two files do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from puna.engine.ollama_gguf import language_model, projector, text_edit
from puna.gguf import GGUFFile, read_metadata
from puna.library import Library
from puna.types import Image
from tests import ollama_gemma4
from tests.engine.asking import loaded
from tests.engine.test_hearing import expected, likeliest
from tests.engine.test_vision import close
from tests.hearing_models import tone, wav
from tests.model_parts import F32
from tests.models import install
from tests.ollama_models import Stored, assert_same, rewritten

CAT = Image(75, 70, np.random.default_rng(1).integers(0, 256, (70, 75, 3), np.uint8).tobytes())
LOW = wav(tone(220))
PROMPT = "Here is <__media__> and <__media__> so?"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return ollama_gemma4.gemma4(tmp_path_factory.mktemp("gemma4"))


@pytest.mark.parametrize("packed", [False, True])
async def test_it_sees_and_hears(
    tmp_path: Path, two: tuple[Path, Path], packed: bool, monkeypatch: pytest.MonkeyPatch
):
    # The reference is libllama's own arithmetic.
    monkeypatch.setenv("PUNA_KERNELS", "0")
    one = ollama_gemma4.inside(*two, tmp_path / "one.gguf", packed=packed)
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert (engine.info.vision, engine.info.audio) == (True, True)
        assert await likeliest(engine, PROMPT, CAT, LOW) == close(expected(two, PROMPT, CAT, LOW))


async def test_the_language_model_alone(tmp_path: Path, two: tuple[Path, Path]):
    one = ollama_gemma4.inside(*two, tmp_path / "one.gguf")
    async with loaded(one, num_ctx=1024) as engine:
        assert not engine.info.vision
        blind = await likeliest(engine, "Hello")
    async with loaded(two[0], num_ctx=1024) as engine:
        assert await likeliest(engine, "Hello") == close(blind)


def test_its_projector_is_the_same_file(tmp_path: Path, two: tuple[Path, Path]):
    one = ollama_gemma4.inside(*two, tmp_path / "one.gguf")
    with projector(str(one)) as path:
        assert_same(Path(path), two[1])


def test_scales_of_experts_under_their_old_name(tmp_path: Path, two: tuple[Path, Path]):
    old, new = "blk.0.ffn_gate_inp.per_expert_scale", "blk.0.ffn_down_exps.scale"
    scales: Stored = {old: (np.ones(4, np.float32), F32)}
    one = rewritten([two[0]], tmp_path / "one.gguf", "gemma4", repacked=lambda tensors: tensors | scales)
    with language_model(str(one)) as path:
        names = [tensor.name for tensor in read_metadata(Path(path)).tensors]
        assert new in names
        assert old not in names


def test_a_file_that_libllama_reads_is_not_changed(two: tuple[Path, Path]):
    with GGUFFile(two[0]) as file:
        assert text_edit(file) is None


def test_its_capabilities(tmp_path: Path, two: tuple[Path, Path]):
    install(tmp_path / "models", "m", ollama_gemma4.inside(*two, tmp_path / "one.gguf"))
    model = Library(tmp_path / "models").open("m")
    assert model.projectors == (model.weights,)
    assert {"vision", "audio"} <= {*model.capabilities()}
