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

PROMPTS = (500, 2000)
TARGETS = {
    "Q4_0": (2.4, 2.6, 1.15, 3.0, 3.7, 2.0),
    "Q4_K_M": (2.2, 2.4, 1.2, 3.1, 3.5, 2.0),
    "Q8_0": (2.9, 2.9, 1.4, 2.6, 3.7, 2.0),
    "F16": (2.2, 2.2, 1.2, 1.9, 3.0, 1.5),
    "mixture": (2.0, 2.0, 1.0, 2.0),
}
"""Times libllama's speed: both prompts, one stream, 8 streams; behind `DEPTH` tokens a chunk, one stream.

They are meant for AVX-512; AVX2 has half its multiplications a clock. `mixture`: 8 of 64 experts, Q4_K_M.
"""

DEPTH = 8192
CHUNK = 256


def model(kind: str) -> Path:
    """The 16 blocks of a 1B Llama shape with random weights, stored as `kind`; or 8 of a mixture's."""
    path, whole = FOLDER / f"{kind}.gguf", FOLDER / "whole.gguf"
    if path.exists():
        return path
    FOLDER.mkdir(parents=True, exist_ok=True)
    f16 = GGMLQuantizationType.F16
    if kind == "mixture":
        mixture_model(
            whole, experts=64, used=8, layers=8, width=2048, heads=32, kv_heads=8, ffn=512, quantisation=f16
        )
    else:
        shape_model(
            whole,
            layers=16,
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
    text = words(4 * DEPTH)
    for kind, targets in TARGETS.items():
        path = str(model(kind))
        with bare(path, pool=2 * DEPTH, PUNA_KERNELS="0") as stock, bare(path, pool=2 * DEPTH) as ours:

            def ratio(
                measure: Callable[[Bare], float], stock: Bare = stock, ours: Bare = ours, rounds: int = 5
            ) -> float:
                return median(lambda: measure(ours) / measure(stock), rounds)

            speeds: dict[str, Callable[[], float]] = {
                f"prompt of {PROMPTS[0]}": lambda: ratio(lambda side: 1 / side.first(text[: PROMPTS[0]])),
                f"prompt of {PROMPTS[1]:,}": lambda: ratio(lambda side: 1 / side.first(text[: PROMPTS[1]])),
                "decode": lambda: ratio(lambda side: side.decode("a", 64)),
                "8 streams": lambda: ratio(lambda side: side.decode("a", 16, 8)),
                f"{CHUNK} tokens behind {DEPTH:,}": lambda: ratio(
                    lambda side: 1 / side.chunk(text[: DEPTH + 2 * CHUNK], CHUNK), rounds=1
                ),
                f"decode behind {DEPTH:,}": lambda: ratio(
                    lambda side: side.decode(text[:DEPTH], 32), rounds=1
                ),
            }
            for (what, speed), target in zip(speeds.items(), targets, strict=False):
                yield Row(f"{kind}: {what}, of libllama", speed(), target)
