"""GLM-OCR and DeepSeek-OCR as one file of Ollama's own converter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from puna.engine.ollama_gguf import language_model, projector
from puna.gguf import read_metadata
from puna.types import Image
from tests import ollama_ocr
from tests.engine.asking import loaded
from tests.engine.seeing import next_logprobs
from tests.engine.test_vision import close, likeliest
from tests.ocr_models import deepseekocr_model, glmocr_model
from tests.ollama_models import assert_same_tensors

PAGE = Image(150, 140, np.random.default_rng(1).integers(0, 256, (140, 150, 3), np.uint8).tobytes())
PROMPT = "Here is <__media__> and then?"


async def test_a_glm_ocr_with_its_projector_inside_sees(tmp_path: Path):
    text, sight = glmocr_model(tmp_path)
    one = ollama_ocr.glmocr(text, sight, tmp_path / "one.gguf")
    with projector(str(one)) as path:
        assert_same_tensors(path, sight)
    with language_model(str(one)) as path:
        assert_same_tensors(path, text)
        assert read_metadata(Path(path)).get("tokenizer.ggml.pre") == "chatglm-bpe"
    expected = sorted(next_logprobs(text, sight, PROMPT, [PAGE]), reverse=True)[:20]
    async with loaded(one, projector=one, num_ctx=1024) as engine:
        assert await likeliest(engine, PROMPT, PAGE) == close(expected)


async def test_a_deepseek_ocr_with_its_projector_inside_sees(tmp_path: Path):
    text, sight = deepseekocr_model(tmp_path)
    one = ollama_ocr.deepseekocr(text, sight, tmp_path / "one.gguf")
    with projector(str(one)) as path:
        assert_same_tensors(path, sight)
    with language_model(str(one)) as path:
        assert_same_tensors(path, text)
        assert read_metadata(Path(path)).get("deepseek2-ocr.expert_shared_count") == 2
    expected = sorted(next_logprobs(text, sight, PROMPT, [PAGE]), reverse=True)[:20]
    async with loaded(one, projector=one, num_ctx=4096) as engine:
        assert await likeliest(engine, PROMPT, PAGE) == close(expected)
