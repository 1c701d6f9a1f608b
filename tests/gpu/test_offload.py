"""Models on a device, wholly and in part: the same numbers as on the CPU, in the memory that is reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from numpy.typing import NDArray

from puna.engine.libllama import Context, LlamaModel
from puna.engine.process import start
from puna.errors import DeviceFailed
from puna.load import LoadSpec, Placed
from puna.options import Options
from puna.types import Finish, Job

TOKENS = (3, 300, 17, 901, 44, 1200, 8, 77)


def logits(path: Path, placed: Placed) -> NDArray[np.float32]:
    """Those after each of the first tokens."""
    with on(path, placed) as (_, context):
        count = len(TOKENS)
        context.tokens[:count], context.positions[:count] = TOKENS, range(count)
        context.sequences[:count], context.wants_output[:count] = 0, 1
        assert context.decode(count) == 0
        return np.stack([context.logits(row).copy() for row in range(count)])


@contextmanager
def on(path: Path, placed: Placed) -> Iterator[tuple[LlamaModel, Context]]:
    model = LlamaModel(str(path), placed=placed)
    context = Context(model, n_ctx=512, n_batch=64, n_seq=2, threads=2)
    try:
        yield model, context
    finally:
        context.close()
        model.close()


def error(found: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """The mean squared error, in parts of the reference's variance."""
    return float(np.mean((found - reference) ** 2) / np.var(reference))


@pytest.mark.parametrize(
    ("split", "overrides"),
    [
        ((5,), ()),
        ((3,), ()),
        ((1,), ()),
        ((3, 2), ()),
        ((1, 2), ()),
        ((5,), ((r"blk\.[02]\.ffn_", "CPU"),)),
    ],
)
def test_the_numbers_are_the_cpus(
    shaped: Path, gpus: tuple[str, ...], split: tuple[int, ...], overrides: tuple[tuple[str, str], ...]
):
    placed = Placed(devices=gpus[: len(split)], split=split, overrides=overrides)
    assert error(logits(shaped, placed), logits(shaped, Placed())) < 1e-3


@pytest.mark.parametrize("layers", [5, 3])
def test_what_is_reported_is_what_is_there(shaped: Path, gpus: tuple[str, ...], layers: int):
    sizes = {tensor.name: int(tensor.n_bytes) for tensor in GGUFReader(shaped).tensors}
    first = 5 - layers
    names = tuple(f"blk.{block}." for block in range(first, 4))
    weights = sum(size for name, size in sizes.items() if name.startswith((*names, "output")))
    kv = 2 * 2 * 4 * 64 * 512 * (4 - first)  # keys and values, F16, heads, width, cells, layers
    with on(shaped, Placed(devices=gpus[:1], split=(layers,))) as (model, _):
        found = model.buffers.on(gpus[0])
        work = found - weights - kv
        # At the least a batch of logits; at the most what estimates never reach.
        assert work * 1.02 >= 4 * 64 * 2048
        assert work < 16 << 20
        assert model.buffers.on(gpus[1]) == 0
        assert model.buffers.total > found


async def test_an_engine_says_where_it_is(shaped: Path, gpus: tuple[str, ...]):
    placed = Placed(devices=gpus[:2], split=(3, 2))
    spec = LoadSpec(path=str(shaped), num_ctx=256, pool=512, parallel=2, placed=placed)
    engine = await start(spec)
    try:
        info = engine.info
        assert set(info.devices) == set(gpus[:2])
        assert info.size_vram == info.size == sum(info.devices.values())
        assert all(size > 1 << 20 for size in info.devices.values())
        job = Job(prompt="one two three", options=Options(num_predict=4, temperature=0))
        answers: list[list[int]] = []
        for _ in range(2):
            async for piece in engine.generate(job):
                if isinstance(piece, Finish):
                    answers.append(piece.tokens)
        assert answers[0] == answers[1]
    finally:
        await engine.close()


async def test_a_model_that_a_device_has_no_room_for_is_a_failure_of_the_device(
    shaped: Path, gpus: tuple[str, ...]
):
    placed = Placed(devices=gpus[:1], split=(5,))
    spec = LoadSpec(path=str(shaped), num_ctx=1 << 21, pool=1 << 21, parallel=1, placed=placed)
    with pytest.raises(DeviceFailed):
        await start(spec)
