"""All tokens of a step drawn: 32 streams, a vocabulary of 152,064, and options of every kind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.table import Row
from puna.engine.libllama import LlamaModel, Sampler
from puna.options import Options
from tests.models import shape_model

PATH = Path(__file__).resolve().parent.parent / ".cache" / "memory" / "vocabulary.gguf"
STREAMS, VOCABULARY, ROUNDS = 32, 152_064, 12
THREADS = psutil.cpu_count(logical=False) or 1
TARGET = 1.5
"""Milliseconds."""

WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "defaults": {},
    "repeat_penalty 1.1": {"repeat_penalty": 1.1},
    "top_k 1,000": {"top_k": 1000},
    "min_p 0.05 alone": {"top_k": 0, "top_p": 1.0, "min_p": 0.05},
    "everything": {"top_k": 0, "top_p": 1.0},
    "everything, temperature 2": {"top_k": 0, "top_p": 1.0, "temperature": 2.0},
    "top_k 50,000": {"top_k": 50_000, "top_p": 1.0},
    "top_k 50,000, top_p 0.9": {"top_k": 50_000},
    "top_p 0.9 alone, 34,000 tokens": {"top_k": 0, "top_p": 0.9},
    "top_p 0.99 alone, 96,000 tokens": {"top_k": 0, "top_p": 0.99},
    "temperature 2, top_p 0.95": {"top_k": 0, "top_p": 0.95, "temperature": 2.0},
    "temperature 0.2, top_p 0.95": {"top_k": 0, "top_p": 0.95, "temperature": 0.2},
    "typical_p 0.5 alone": {"top_k": 0, "top_p": 1.0, "typical_p": 0.5},
    "typical_p 0.95 alone": {"top_k": 0, "top_p": 1.0, "typical_p": 0.95},
    "typical_p 0.9, top_p 0.9": {"top_k": 0, "typical_p": 0.9},
    "top_k 100,000, typical_p 0.9, top_p 0.9": {"top_k": 100_000, "typical_p": 0.9},
    "mirostat 1": {"mirostat": 1},
    "mirostat 2": {"mirostat": 2},
    "mirostat 2, tau 15": {"mirostat": 2, "mirostat_tau": 15.0},
}


def rows() -> Iterator[Row]:
    """The best of some rounds each, because others' work only ever adds."""
    if not PATH.exists():
        PATH.parent.mkdir(parents=True, exist_ok=True)
        shape_model(PATH, layers=1, vocab=VOCABULARY)
    model = LlamaModel(str(PATH))
    random = np.random.default_rng(1)
    logits = (random.standard_normal((STREAMS, VOCABULARY)) * 2).astype(np.float32)
    for name, options in WAYS.items():
        samplers = [Sampler(model, Options(seed=i, **options), context=4096) for i in range(STREAMS)]
        for sampler in samplers:
            for token in random.integers(0, VOCABULARY, 64).tolist():
                sampler.accept(token)
        took = min(step(model, samplers, logits) for _ in range(ROUNDS))
        yield Row(f"32 tokens drawn: {name}", 1000 * took, TARGET, "ms", more_is_better=False)
        for sampler in samplers:
            sampler.close()


def step(model: LlamaModel, samplers: list[Sampler], logits: np.ndarray) -> float:
    """Seconds that all take, on all cores where there is native code."""
    began = time.perf_counter()
    if model.drawing is None:
        for sampler, row in zip(samplers, logits, strict=True):
            sampler.sample(row)
    else:
        rows = zip(samplers, logits, strict=True)
        draws = [s.draws.set_logits(row.ctypes.data) for s, row in rows if s.draws is not None]
        model.drawing.draw(draws, THREADS)
    return time.perf_counter() - began
