"""libllama's dry run beside the engine that is then loaded.

The processor stands for a device here: ggml lists it as one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGUFReader
from msgspec.structs import replace

from puna.engine import dry_run, start
from puna.load import LoadSpec, Placed
from tests.models import embedding_model, hybrid_model, recurrent_model, shape_model, sliding_window_model

ON_DEVICE = Placed(devices=("CPU",), split=(99,))


def weights(path: Path) -> int:
    return sum(int(tensor.n_bytes) for tensor in GGUFReader(path).tensors)


@pytest.mark.parametrize(
    "make", [shape_model, sliding_window_model, recurrent_model, hybrid_model, embedding_model]
)
async def test_what_is_foreseen_is_what_the_engine_takes(make: Callable[..., None], tmp_path: Path):
    path = tmp_path / "model.gguf"
    make(path, context_length=2048)
    embedding = make is embedding_model
    spec = LoadSpec(
        path=str(path), num_ctx=1024, pool=2048, parallel=4, embedding=embedding, placed=ON_DEVICE
    )
    found = await dry_run(spec)
    assert found is not None
    engine = await start(spec)
    await engine.close()
    real = engine.info.devices["CPU"]
    assert abs(weights(path) + found.cache + found.devices["CPU"] + found.host - real) <= 0.02 * real


async def test_cache_types_and_pools_are_told_apart(tmp_path: Path):
    path = tmp_path / "model.gguf"
    shape_model(path)
    small = LoadSpec(path=str(path), num_ctx=1024, pool=1024, parallel=4)
    specs = [small, replace(small, pool=4096), replace(small, pool=4096, kv_cache_type="q8_0")]
    one, four, eighth = [found.cache for spec in specs if (found := await dry_run(spec))]
    assert four == 4 * one
    assert eighth == pytest.approx(four * 8.5 / 16, rel=0.01)


@pytest.mark.parametrize("placed", [Placed(), Placed(devices=("no card",), split=(3,))])
async def test_what_cannot_be_loaded_has_no_dry_run(tmp_path: Path, placed: Placed):
    path = tmp_path / "model.gguf"
    shape_model(path)
    if not placed.devices:
        path.write_bytes(path.read_bytes()[:1000])
    assert await dry_run(LoadSpec(path=str(path), num_ctx=64, pool=64, parallel=1, placed=placed)) is None
