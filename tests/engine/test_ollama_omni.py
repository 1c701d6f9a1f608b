"""A Nemotron 3 Omni with its encoders inside answers as the two files do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

from puna.engine.ollama_gguf import projector
from puna.types import Image
from tests import ollama_omni
from tests.engine.asking import loaded
from tests.engine.test_hearing import expected, likeliest
from tests.engine.test_vision import close
from tests.hearing_models import tone, wav
from tests.model_parts import finish
from tests.ollama_models import assert_same

CAT = Image(75, 70, np.random.default_rng(1).integers(0, 256, (70, 75, 3), np.uint8).tobytes())
LOW = wav(tone(220))
PROMPT = "Here is <__media__> and <__media__> so?"


@pytest.mark.parametrize("larger", [1, 3])
async def test_it_sees_and_hears(tmp_path: Path, larger: int, monkeypatch: pytest.MonkeyPatch):
    # The reference is libllama's own arithmetic.
    monkeypatch.setenv("PUNA_KERNELS", "0")
    two = ollama_omni.omni(tmp_path)
    one = ollama_omni.inside(*two, tmp_path / "one.gguf", larger=larger)
    with projector(str(one)) as path:
        assert_same(Path(path), two[1])
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert (engine.info.vision, engine.info.audio) == (True, True)
        assert await likeliest(engine, PROMPT, CAT, LOW) == close(expected(two, PROMPT, CAT, LOW))


def test_a_place_between_others_is_between_them(tmp_path: Path):
    writer = GGUFWriter(tmp_path / "one.gguf", "nemotron_h_omni")
    writer.add_uint32("nemotron_h_omni.vision.image_size", 12)
    writer.add_uint32("nemotron_h_omni.vision.patch_size", 4)
    writer.add_tensor("v.position_embd", place(np.arange(4)).astype(np.float32))
    finish(writer)
    with projector(str(tmp_path / "one.gguf")) as path:
        (places,) = (tensor.data for tensor in GGUFReader(path).tensors)
    np.testing.assert_allclose(places, place(np.array([0, 1.5, 3])))


def place(at: np.ndarray) -> np.ndarray:
    """An embedding of one number for each place of a square."""
    return (10 * at[:, None] + at).reshape(-1, 1)
