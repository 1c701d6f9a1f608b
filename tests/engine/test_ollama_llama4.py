"""The projector inside a Llama 4 shows a model what the projector's own file does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from puna.engine.ollama_gguf import projector
from puna.types import Image
from tests import ollama_llama4
from tests.engine.asking import loaded
from tests.engine.test_hearing import expected, likeliest
from tests.engine.test_vision import close
from tests.models import shape_model
from tests.ollama_models import assert_same
from tests.vision_models import WIDTH

CAT = Image(75, 70, np.random.default_rng(1).integers(0, 256, (70, 75, 3), np.uint8).tobytes())
PROMPT = "Here is <__media__> and then?"


async def test_it_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The reference is libllama's own arithmetic.
    monkeypatch.setenv("PUNA_KERNELS", "0")
    two = tmp_path / "model.gguf", tmp_path / "projector.gguf"
    shape_model(two[0], width=WIDTH)
    ollama_llama4.llama4_projector(two[1])
    one = ollama_llama4.inside(*two, tmp_path / "one.gguf")
    with projector(str(one)) as path:
        assert_same(Path(path), two[1])
    # A Llama 4 without experts does not load; any other model of its width sees the same.
    async with loaded(two[0], projector=one, num_ctx=1024) as engine:
        assert await likeliest(engine, PROMPT, CAT) == close(expected(two, PROMPT, CAT))
