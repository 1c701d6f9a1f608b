"""Puna's kernels beside libllama's own products: bare loops over one model, with and without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gguf import GGMLQuantizationType

from benchmarks.bare import Bare, bare
from benchmarks.inference import words
from benchmarks.table import Row, median
from puna.engine.libllama import quantize
from tests.models import shape_model

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "kernels"
KINDS = ("Q4_0", "Q4_K_M")
POOL = 8192


def model(kind: str) -> Path:
    """Four blocks of a 1B Llama shape with random weights, stored as `kind`."""
    path, whole = FOLDER / f"{kind}.gguf", FOLDER / "whole.gguf"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        f16 = GGMLQuantizationType.F16
        shape_model(
            whole, layers=4, width=2048, heads=32, kv_heads=8, ffn=8192, vocab=16384, quantisation=f16
        )
        quantize(str(whole), str(path), kind, threads=2, notice=lambda text: None)
        whole.unlink()
    return path


def rows() -> Iterator[Row]:
    # The model's words are spelled in bytes: about one token a character.
    prompt = words(2048)[:500]
    for kind in KINDS:
        path = str(model(kind))
        with bare(path, pool=POOL, PUNA_KERNELS="0") as stock, bare(path, pool=POOL) as ours:

            def ratio(measure: Callable[[Bare], float], stock: Bare = stock, ours: Bare = ours) -> float:
                return median(lambda: measure(ours) / measure(stock))

            yield Row(f"{kind}: prompt of 500, of libllama", ratio(lambda side: 1 / side.first(prompt)), 1.2)
            yield Row(f"{kind}: decode, of libllama", ratio(lambda side: side.decode("a", 32)), 1)
            yield Row(f"{kind}: 8 streams, of libllama", ratio(lambda side: side.decode("a", 16, 8)), 1.8)
