"""Quantizing: every kind, what is refused, and what is left of one that was ended."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from gguf import GGMLQuantizationType, GGUFReader, quants

from puna.engine import quantization, quantize
from puna.errors import BadRequest, PunaError
from puna.gguf import read_metadata
from tests.engine.asking import ask, loaded
from tests.models import embedding_model, scripted_model, shape_model

KINDS = (
    *("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"),
    *("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 256 weights, so that every kind can store them."""
    path = tmp_path_factory.mktemp("quantize") / "model.gguf"
    shape_model(path, layers=1, width=256, heads=4, ffn=256, vocab=300)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "smaller model.gguf"


def ignore(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(model: Path, target: Path, kind: str):
    counts: list[tuple[int, int]] = []
    quantize(model, target, kind.lower(), lambda *count: counts.append(count))
    metadata = read_metadata(target)
    assert metadata.quantization == kind
    stored = {tensor.name: tensor.type_name for tensor in metadata.tensors}
    # Mixtures (…_M, …_L) spend more bits on some tensors, but not on this one.
    assert stored["blk.0.ffn_up.weight"] == re.sub(r"_[SML]$", "", kind)
    total = len(stored)
    assert counts == [*((done, total) for done in range(total)), (total, total)]


def test_the_weights_are_still_the_same_weights(model: Path, target: Path):
    quantize(model, target, "q8_0", ignore)
    before = {tensor.name: tensor.data for tensor in GGUFReader(model).tensors}
    for tensor in GGUFReader(target).tensors:
        values = quants.dequantize(tensor.data, tensor.tensor_type)
        exact = before[tensor.name]
        assert np.abs(values - exact).max() <= np.abs(exact).max() / 200, tensor.name


async def test_a_quantized_model_answers(tmp_path: Path, target: Path):
    script = "The quick brown fox jumps over the lazy dog."
    scripted_model(tmp_path / "model.gguf", script)
    quantize(tmp_path / "model.gguf", target, "q4_K_M", ignore)
    async with loaded(target) as engine:
        assert (await ask(engine, "x")).text == script


async def test_a_quantized_embedding_model_embeds(tmp_path: Path, target: Path):
    embedding_model(tmp_path / "model.gguf")
    quantize(tmp_path / "model.gguf", target, "q8_0", ignore)
    vectors = []
    for path in (tmp_path / "model.gguf", target):
        async with loaded(path, num_ctx=128, embedding=True) as engine:
            vectors.append(np.array((await engine.embed(["Hello"], truncate=True)).vectors[0]))
    assert target.stat().st_size < (tmp_path / "model.gguf").stat().st_size / 2
    assert vectors[0] @ vectors[1] > 0.99


@pytest.mark.parametrize(
    ("asked", "name"),
    [("q4_K_M", "Q4_K_M"), ("Q4_K", "Q4_K_M"), ("q8_0", "Q8_0"), ("f16", "F16"), ("bF16", "BF16")],
)
def test_names(asked: str, name: str):
    assert quantization(asked) == name


@pytest.mark.parametrize("kind", ["", "q9_0", "Q4_K_XL", "iq2_xxs", "MOSTLY", "q4_K_M "])
def test_an_unknown_kind_is_named_beside_the_known_ones(model: Path, target: Path, kind: str):
    for refused in (lambda: quantization(kind), lambda: quantize(model, target, kind, ignore)):
        with pytest.raises(BadRequest) as refusal:
            refused()
        assert f"unsupported quantization type {kind.upper()} - " in str(refusal.value)
        assert ", ".join(KINDS) in str(refusal.value)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["q4_K_M", "q8_0", "f16"])
def test_a_quantized_model_is_not_quantized_again(model: Path, target: Path, tmp_path: Path, kind: str):
    quantize(model, tmp_path / "once.gguf", "q8_0", ignore)
    with pytest.raises(BadRequest, match="only supported for F16, BF16 and F32 models"):
        quantize(tmp_path / "once.gguf", target, kind, ignore)
    assert not target.exists()


@pytest.mark.parametrize("said", [None, 1])
def test_nor_is_one_that_does_not_say_what_it_is_or_lies(target: Path, tmp_path: Path, said: int | None):
    shape_model(tmp_path / "silent.gguf", quantisation=GGMLQuantizationType.Q8_0, file_type=said)
    for kind in ("q4_0", "q8_0"):
        with pytest.raises(BadRequest, match="only supported for F16, BF16 and F32 models"):
            quantize(tmp_path / "silent.gguf", target, kind, ignore)
        assert not target.exists()


@pytest.mark.parametrize("stored", [GGMLQuantizationType.F16, GGMLQuantizationType.BF16])
@pytest.mark.parametrize("said", [None, 2])
def test_the_tensors_count_and_not_what_a_file_says(
    target: Path, tmp_path: Path, stored: GGMLQuantizationType, said: int | None
):
    shape_model(tmp_path / "model.gguf", quantisation=stored, file_type=said)
    quantize(tmp_path / "model.gguf", target, "q8_0", ignore)
    assert read_metadata(target).quantization == "Q8_0"


@pytest.mark.parametrize("content", [None, b"", b"GGUF", b"<html>" * 100])
def test_a_source_that_is_no_model_is_named(target: Path, tmp_path: Path, content: bytes | None):
    source = tmp_path / "source.gguf"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(PunaError, match=re.escape(f"unable to load model {source}: ")):
        quantize(source, target, "q8_0", ignore)
    assert not target.exists()


def test_a_target_that_cannot_be_written_is_named(model: Path, tmp_path: Path):
    target = tmp_path / "no such folder" / "target.gguf"
    with pytest.raises(PunaError, match=re.escape(f"to {target}: it cannot be written")):
        quantize(model, target, "q8_0", ignore)


@pytest.mark.parametrize("at", [0, 7])
def test_whoever_counts_can_end_it(model: Path, target: Path, at: int):
    def leave(done: int, total: int) -> None:
        if done == at:
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        quantize(model, target, "q4_K_M", leave)
    assert not target.exists()
    assert not quantizers()


def test_a_process_that_dies_leaves_no_target(tmp_path: Path, target: Path):
    target.write_bytes(b"half of it")
    endless = tmp_path / "source.gguf"
    os.mkfifo(endless)  # nobody ever writes to it
    with ThreadPoolExecutor(1) as thread:
        work = thread.submit(quantize, endless, target, "q4_K_M", ignore)
        while not (running := quantizers()):
            assert not work.done()
        running[0].kill()
        with pytest.raises(PunaError, match="ended by SIGKILL"):
            work.result()
    assert not target.exists()


def test_a_process_whose_server_went_away_ends_and_leaves_no_target(model: Path, target: Path):
    target.write_bytes(b"half of it")
    command = [sys.executable, "-m", "puna.engine.quantizer", str(model), str(target), "Q4_K_M"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert ended.returncode == 1
    assert not target.exists()


def quantizers() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "puna.engine.quantizer" in child.cmdline()]
