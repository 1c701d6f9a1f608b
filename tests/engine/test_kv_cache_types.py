"""What a KV cache is stored as: its size is the estimate's, and answers stay those of the model."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from puna.engine.libllama import Context, LlamaModel
from puna.gguf import read_metadata
from puna.options import KVCacheType
from puna.scheduling import estimate

TYPES: tuple[KVCacheType, ...] = get_args(KVCacheType)


def evaluated(model: LlamaModel, kind: KVCacheType, *, flash: bool | None = None) -> tuple[np.ndarray, int]:
    """The last token's logits behind 256 tokens, and the bytes that 192 tokens more take when saved."""
    context = Context(
        model, n_ctx=512, n_batch=512, n_seq=1, threads=2, kv_cache_type=kind, flash_attention=flash
    )
    sizes = []
    try:
        for start, end in ((0, 64), (64, 256)):
            count = end - start
            context.tokens[:count] = np.arange(start, end) % 200 + 20
            context.positions[:count] = np.arange(start, end)
            context.sequences[:count] = 0
            context.wants_output[:count] = 0
            context.wants_output[count - 1] = 1
            assert context.decode(count) == 0
            sizes.append(context.saved_size(0))
        return context.logits(191).copy(), sizes[1] - sizes[0]
    finally:
        context.close()


@pytest.mark.parametrize("kind", TYPES)
def test_a_token_takes_the_bytes_that_were_estimated(shaped: Path, kind: KVCacheType):
    _, size = evaluated(LlamaModel(str(shaped)), kind)
    per_token = estimate(read_metadata(shaped), 0, 512, kv_cache_type=kind).kv_per_token
    told = size / 192
    # Beside its numbers a saved token has its position and its sequences.
    assert per_token <= told < per_token + 32


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("flash", [None, True])
def test_the_logits_are_the_models_as_far_as_the_type_is_fine(
    shaped: Path, kind: KVCacheType, flash: bool | None
):
    model = LlamaModel(str(shaped))
    exact, _ = evaluated(model, "f32")
    found, _ = evaluated(model, kind, flash=flash)
    wrong = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert wrong < {"f32": 1e-3, "f16": 5e-3, "bf16": 0.03, "q8_0": 0.1, "q4_0": 0.8}[kind]


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32"])
def test_without_flash_attention_the_logits_are_the_same(shaped: Path, kind: KVCacheType):
    model = LlamaModel(str(shaped))
    exact, _ = evaluated(model, "f32")
    found, _ = evaluated(model, kind, flash=False)
    assert np.linalg.norm(found - exact) / np.linalg.norm(exact) < 0.03
