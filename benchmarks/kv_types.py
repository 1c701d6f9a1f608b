"""A KV cache of fewer bits beside f16: bytes, decoding, and the error of the logits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray

from benchmarks.table import Row, median
from puna.engine.libllama import Context, LlamaModel
from puna.engine.libllama.kernels import start_kernels
from puna.options import KVCacheType
from tests.models import shape_model

PATH = Path(__file__).resolve().parent.parent / ".cache" / "memory" / "kv.gguf"
BEHIND = 8000
DECODED = 32
BATCH = 512


class Side:
    """A context of one type that has read `BEHIND` tokens."""

    def __init__(self, model: LlamaModel, kind: KVCacheType) -> None:
        # Room for the median's rounds, and the one before.
        self._context = Context(
            model, n_ctx=BEHIND + 512, n_batch=BATCH, n_seq=1, threads=1, kv_cache_type=kind
        )
        self._length = 0
        tokens = np.random.default_rng(5).integers(300, 4000, BEHIND)
        for at in range(0, BEHIND, BATCH):
            self._read(tokens[at : at + BATCH])
        self.bytes = self._context.saved_size(0)
        self.logits: NDArray[np.float32] = self._context.logits((BEHIND - 1) % BATCH).copy()

    def decode(self) -> float:
        """Seconds for some tokens more, one after another."""
        began = time.perf_counter()
        for token in range(300, 300 + DECODED):
            self._read(np.array([token]))
        return time.perf_counter() - began

    def _read(self, tokens: NDArray[np.int64]) -> None:
        context, size = self._context, len(tokens)
        context.tokens[:size] = tokens
        context.positions[:size] = range(self._length, self._length + size)
        context.sequences[:size] = 0
        context.wants_output[:size] = 0
        context.wants_output[size - 1] = 1
        assert context.decode(size) == 0
        context.synchronize()
        self._length += size


def rows() -> Iterator[Row]:
    """Four blocks of the shape of SmolLM2 135M, 8,000 tokens; the error is of the last one's logits."""
    if not PATH.exists():
        PATH.parent.mkdir(parents=True, exist_ok=True)
        shape_model(
            PATH,
            layers=4,
            width=576,
            heads=9,
            kv_heads=3,
            ffn=1536,
            vocab=4096,
            context_length=2 * BEHIND,
            quantisation=GGMLQuantizationType.Q8_0,
        )
    start_kernels()
    model = LlamaModel(str(PATH))
    fine, coarse = Side(model, "f16"), Side(model, "q8_0")
    error = np.square(coarse.logits - fine.logits).mean() / np.square(fine.logits).mean()
    faster = median(lambda: fine.decode() / coarse.decode())
    yield Row("q8_0 KV: bytes, of f16", coarse.bytes / fine.bytes, 0.54, more_is_better=False)
    yield Row(f"q8_0 KV: decode behind {BEHIND:,} tokens, of f16", faster, 0.95)
    yield Row("q8_0 KV: squared error of the logits, in 1,000", 1000 * error, 10, "", more_is_better=False)
