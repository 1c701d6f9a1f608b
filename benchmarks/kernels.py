"""Puna's kernels beside libllama's own products: bare loops over one model, with and without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gguf import GGMLQuantizationType

from benchmarks.bare import Bare, bare
from benchmarks.inference import words
from benchmarks.table import Row, median
from puna.engine.libllama import quantize
from tests.models import mixture_model, shape_model

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "kernels"

TARGETS = {
    "Q4_0": (2.0, 1.05, 2.4),
    "Q4_K_M": (1.6, 1.05, 2.2),
    "Q8_0": (1.9, 1.0, 1.4),
    "F16": (0.9, 1.2, 1.1),
}
"""Times libllama's speed on AVX2: a prompt of 500, one stream, 8 streams."""

MIXTURE = (1.5, 1.0, 1.5)
"""The same of 8 of 64 experts in Q4_K_M."""

DEPTH = 8192
DEEP = (2.0, 2.5)
"""Behind so many tokens, in Q4_0: a chunk of 256, one stream."""


def model(kind: str) -> Path:
    """Four blocks of a 1B Llama shape with random weights, stored as `kind`; or a mixture's."""
    path, whole = FOLDER / f"{kind}.gguf", FOLDER / "whole.gguf"
    if path.exists():
        return path
    FOLDER.mkdir(parents=True, exist_ok=True)
    f16 = GGMLQuantizationType.F16
    if kind == "mixture":
        mixture_model(
            whole, experts=64, used=8, layers=2, width=2048, heads=32, kv_heads=8, ffn=512, quantisation=f16
        )
    else:
        shape_model(
            whole,
            layers=4,
            width=2048,
            heads=32,
            kv_heads=8,
            ffn=8192,
            vocab=16384,
            context_length=2 * DEPTH,
            quantisation=f16,
        )
    if kind == "F16":
        return whole.rename(path)
    quantize(str(whole), str(path), "Q4_K_M" if kind == "mixture" else kind, threads=2, notice=lambda _: None)
    whole.unlink()
    return path


def rows() -> Iterator[Row]:
    # The models' words are spelled in bytes: about one token a character.
    prompt, deep = words(2048)[:500], words(4 * DEPTH)[: DEPTH + 512]
    for kind, targets in (TARGETS | {"mixture": MIXTURE}).items():
        path = str(model(kind))
        with bare(path, pool=2 * DEPTH, PUNA_KERNELS="0") as stock, bare(path, pool=2 * DEPTH) as ours:

            def ratio(
                measure: Callable[[Bare], float], stock: Bare = stock, ours: Bare = ours, rounds: int = 5
            ) -> float:
                return median(lambda: measure(ours) / measure(stock), rounds)

            speeds: dict[str, Callable[[Bare], float]] = {
                "prompt of 500": lambda side: 1 / side.first(prompt),
                "decode": lambda side: side.decode("a", 32),
                "8 streams": lambda side: side.decode("a", 16, 8),
            }
            for (what, speed), target in zip(speeds.items(), targets, strict=True):
                yield Row(f"{kind}: {what}, of libllama", ratio(speed), target)
            if kind == "Q4_0":
                chunk = ratio(lambda side: 1 / side.chunk(deep, 256), rounds=1)
                yield Row(f"{kind}: 256 tokens behind {DEPTH:,}, of libllama", chunk, DEEP[0])
                decode = ratio(lambda side: side.decode(deep[:DEPTH], 16), rounds=1)
                yield Row(f"{kind}: decode behind {DEPTH:,}, of libllama", decode, DEEP[1])
