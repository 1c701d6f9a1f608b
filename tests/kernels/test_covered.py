"""An engine sees in its first evaluation whether our kernels compute all of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Quantisation

from puna.engine import opening
from puna.engine.libllama import Context, LlamaModel, quantize
from puna.engine.libllama.kernels import start_kernels
from puna.kernels import build, library
from tests.engine.test_adapters import lora
from tests.models import mixture_model, recurrent_model, shape_model, sliding_window_model


def covered(path: Path, adapter: Path | None = None, **options: Any) -> bool:
    model = LlamaModel(str(path), adapters=[str(adapter)] if adapter else [])
    context = Context(model, n_ctx=256, n_batch=64, n_seq=2, threads=1, **options)
    try:
        return opening.warm_up(model, context)[1]
    finally:
        context.close()
        model.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert library() is not None or not build()
    assert "attention" in start_kernels()
    path = tmp_path_factory.mktemp("covered") / "whole.gguf"
    shape_model(path, width=256, ffn=512, heads=4, kv_heads=2, quantisation=Quantisation.F16)
    return path


def stored(whole: Path, kind: str) -> Path:
    path = whole.with_name(f"{kind}.gguf")
    if not path.exists():
        quantize(str(whole), str(path), kind, threads=2, notice=lambda text: None)
    return path


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K_M", "Q8_0", "F32"])
def test_models_whose_weights_have_kernels_are_covered(whole: Path, kind: str):
    assert covered(stored(whole, kind))


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_so_are_floats_where_their_kernel_is_the_faster_one(whole: Path, kind: str):
    path = whole if kind == "F16" else stored(whole, kind)
    assert covered(path) == (kind.lower() in start_kernels().split())


@pytest.mark.parametrize("cells", ["f32", "bf16"])
def test_so_they_are_with_other_cells(whole: Path, cells: str):
    assert covered(stored(whole, "Q4_0"), kv_cache_type=cells)


def test_so_are_sliding_windows(tmp_path: Path):
    path = tmp_path / "window.gguf"
    sliding_window_model(path, window=40, quantisation=Quantisation.Q8_0)
    assert covered(path)


@pytest.mark.parametrize(("experts", "shared"), [(4, False), (24, False), (8, True)])
def test_so_are_mixtures_with_their_routers(tmp_path: Path, experts: int, shared: bool):
    path = tmp_path / "mixture.gguf"
    mixture_model(path, experts=experts, shared=shared, quantisation=Quantisation.Q8_0)
    assert covered(path)


def test_what_libllama_computes_is_seen(whole: Path, tmp_path: Path):
    quantised = stored(whole, "Q4_0")
    assert not covered(quantised, flash_attention=False)
    # An adapter's matrices are F32.
    shape_model(tmp_path / "small.gguf", quantisation=Quantisation.Q8_0)
    assert covered(tmp_path / "small.gguf")
    assert not covered(tmp_path / "small.gguf", lora(tmp_path / "adapter.gguf").path)
    # Of weights in F32 libllama may reshape those that are not known to be only multiplied with.
    recurrent_model(tmp_path / "f32.gguf")
    assert not covered(tmp_path / "f32.gguf")
    # What came before is forgotten.
    assert covered(quantised)
