"""LoRA adapters laid over a model by a real engine process, against the same model with the change merged."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter

from puna.engine import EngineProcess, start
from puna.errors import LoadFailed
from puna.load import LoadSpec
from tests.engine.asking import ask
from tests.models import decoder_embedding_model, shape_model

RANK, ALPHA = 4, 8.0
WIDTH, FFN, VOCAB = 64, 128, 512
NOISE = 2e-4
"""What the 16-bit KV cache makes of sums in another order."""
TARGETS = {
    "blk.0.attn_q.weight": (WIDTH, WIDTH),
    "blk.1.attn_output.weight": (WIDTH, WIDTH),
    "blk.1.ffn_down.weight": (WIDTH, FFN),
    "output.weight": (VOCAB, WIDTH),
}
"""Rows and columns of the matrices that the adapters change."""


@dataclass
class Lora:
    """An adapter file, and what it adds to each matrix."""

    path: Path
    deltas: dict[str, np.ndarray]


def lora(path: Path, *, seed: int = 0, architecture: str = "llama", extra_columns: int = 0) -> Lora:
    """Write a random adapter (llama.cpp, convert_lora_to_gguf.py); `extra_columns` make it fit no model."""
    random = np.random.default_rng(seed)
    writer = GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", ALPHA)
    deltas = {}
    for name, (rows, columns) in TARGETS.items():
        down = random.standard_normal((RANK, columns + extra_columns), np.float32) * np.float32(0.1)
        up = random.standard_normal((rows, RANK), np.float32)
        writer.add_tensor(f"{name}.lora_a", down)
        writer.add_tensor(f"{name}.lora_b", up)
        deltas[name] = (ALPHA / RANK) * up @ down
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Lora(path, deltas)


def merged(model: Path, path: Path, *adapters: Lora) -> Path:
    """A copy of a float32 model at `path` with the adapters' changes made to its weights."""
    shutil.copyfile(model, path)
    tensors = {tensor.name: tensor for tensor in GGUFReader(path, "r+").tensors}
    for adapter in adapters:
        for name, delta in adapter.deltas.items():
            tensors[name].data[:] += delta
    return path


@asynccontextmanager
async def engine(
    path: Path, adapters: Sequence[Path] = (), *, embedding: bool = False
) -> AsyncIterator[EngineProcess]:
    spec = LoadSpec(
        path=str(path),
        num_ctx=256,
        pool=512,
        parallel=2,
        num_thread=2,
        embedding=embedding,
        adapters=tuple(map(str, adapters)),
    )
    started = await start(spec)
    try:
        yield started
    finally:
        await started.close()


async def vectors(path: Path, adapters: Sequence[Path] = ()) -> np.ndarray:
    async with engine(path, adapters, embedding=True) as started:
        answer = await started.embed(["what is it", "another text"], truncate=True)
        return np.array(answer.vectors)


async def answer(path: Path, adapters: Sequence[Path] = ()) -> list[int]:
    async with engine(path, adapters) as started:
        return (await ask(started, "Once upon a time", num_predict=16)).finish.tokens[-16:]


async def test_an_adapter_changes_the_vectors_as_merged_weights_do(tmp_path: Path):
    model = tmp_path / "model.gguf"
    decoder_embedding_model(model)
    first = lora(tmp_path / "first.gguf", architecture="qwen3")
    second = lora(tmp_path / "second.gguf", seed=1, architecture="qwen3")
    plain = await vectors(model)
    with_one = await vectors(model, [first.path])
    with_both = await vectors(model, [first.path, second.path])
    assert np.abs(with_one - plain).max() > 0.01
    assert np.abs(with_both - with_one).max() > 0.01
    np.testing.assert_allclose(with_one, await vectors(merged(model, tmp_path / "1", first)), atol=NOISE)
    np.testing.assert_allclose(
        with_both, await vectors(merged(model, tmp_path / "2", first, second)), atol=NOISE
    )


async def test_an_adapter_changes_the_answer_as_merged_weights_do(tmp_path: Path):
    model = tmp_path / "model.gguf"
    shape_model(model, width=WIDTH, ffn=FFN, vocab=VOCAB)
    adapter = lora(tmp_path / "adapter.gguf")
    changed = await answer(model, [adapter.path])
    assert changed == await answer(merged(model, tmp_path / "merged.gguf", adapter))
    assert changed != await answer(model)


@pytest.mark.parametrize(
    "wrong", ["missing", "no GGUF", "cut short", "a model", "another shape", "another family"]
)
async def test_a_wrong_adapter_is_named(tmp_path: Path, wrong: str):
    model, adapter = tmp_path / "model.gguf", tmp_path / "adapter.gguf"
    shape_model(model, width=WIDTH, ffn=FFN, vocab=VOCAB)
    if wrong == "no GGUF":
        adapter.write_bytes(b"not an adapter at all")
    elif wrong == "cut short":
        lora(adapter)
        adapter.write_bytes(adapter.read_bytes()[:-1000])
    elif wrong == "a model":
        shutil.copyfile(model, adapter)
    elif wrong == "another shape":
        lora(adapter, extra_columns=32)
    elif wrong == "another family":
        lora(adapter, architecture="qwen3")
    with pytest.raises(LoadFailed) as refusal:
        async with engine(model, [adapter]):
            pass
    assert str(refusal.value).startswith(f"unable to load adapter {adapter}: ")
    assert "no reason" not in str(refusal.value)
