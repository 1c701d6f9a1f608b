"""A Mistral 3 with its projector inside answers as the two files do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from puna.engine.libllama import LlamaModel
from puna.engine.libllama.vision import Projector
from puna.engine.ollama_gguf import projector
from puna.types import Image
from tests import ollama_pixtral
from tests.engine.asking import loaded
from tests.engine.test_hearing import expected, likeliest
from tests.engine.test_vision import close
from tests.ollama_models import assert_same

CAT = Image(75, 70, np.random.default_rng(1).integers(0, 256, (70, 75, 3), np.uint8).tobytes())
PROMPT = "Here is <__media__> and then?"


async def test_it_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The reference is libllama's own arithmetic.
    monkeypatch.setenv("PUNA_KERNELS", "0")
    two = ollama_pixtral.mistral3(tmp_path)
    one = ollama_pixtral.inside(*two, tmp_path / "one.gguf")
    with projector(str(one)) as path:
        assert_same(Path(path), two[1])
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert await likeliest(engine, PROMPT, CAT) == close(expected(two, PROMPT, CAT))


def test_no_row_of_a_picture_has_what_was_in_memory_before(tmp_path: Path):
    model, sight = ollama_pixtral.mistral3(tmp_path)
    seer = Projector(str(sight), LlamaModel(str(model)), threads=1, device="", max_tokens=512)
    noise = np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), np.uint8)
    for width in (2000, 1000, 1500):
        (rows,) = seer.encode(Image(width, 1500, noise[:, :width].tobytes()))
        assert np.isfinite(rows).all()
