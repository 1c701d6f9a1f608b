"""What a device has evaluated leaves it for the host's memory and the disk, and comes back unchanged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from puna.load import Placed
from puna.options import KVCacheType
from tests.engine.asking import Answer, ask, loaded
from tests.engine.conftest import KINDS

PROMPT = "You are a careful assistant who answers in short sentences. " * 3
OTHERS = [f"{n}" * 300 for n in range(4)]


@pytest.fixture
def placed(gpus: tuple[str, ...]) -> Placed:
    return Placed(devices=gpus[:1], split=(3,))


async def asked(path: Path, prompt: str | list[int] = PROMPT, **fields: Any) -> Answer:
    """An answer of an engine that ends right behind it."""
    async with loaded(path, **fields) as engine:
        return await ask(engine, prompt, num_predict=8, logprobs=2)


async def test_a_prefix_that_left_the_device_comes_back(path: Path, placed: Placed):
    async with loaded(path, placed=placed, pool=512) as engine:
        assert engine.info.size_vram > 0
        first = await ask(engine, PROMPT, num_predict=8, logprobs=2)
        # The pool has cells for one of these; a pause lets it be copied.
        for other in OTHERS:
            await ask(engine, other, num_predict=8)
        again = await ask(engine, PROMPT, num_predict=8, logprobs=2)
        for other in OTHERS:
            await ask(engine, other, num_predict=8)
        turn = first.finish.tokens + await engine.tokenize("And then?", add_bos=False)
        later = await ask(engine, turn, num_predict=8, logprobs=2)
    assert again.finish.cached_tokens == again.finish.prompt_tokens
    assert later.finish.cached_tokens == len(first.finish.tokens) - 1
    assert again.agrees(first)
    assert later.agrees(await asked(path, turn, placed=placed))
    assert first.agrees(await asked(path))


async def test_it_outlives_the_engine(path: Path, placed: Placed, tmp_path: Path):
    first = await asked(path, placed=placed, disk=tmp_path)
    again = await asked(path, placed=placed, disk=tmp_path)
    assert again.finish.cached_tokens == again.finish.prompt_tokens
    assert again.agrees(first)


async def test_answers_at_once_are_the_ones_that_each_has_alone(path: Path, placed: Placed):
    prompts = [PROMPT + other[:40] for other in OTHERS]
    async with loaded(path, placed=placed, num_ctx=1024) as engine:
        answers = await asyncio.gather(*(ask(engine, one, num_predict=8, logprobs=2) for one in prompts))
    assert sum(answer.finish.cached_tokens > 0 for answer in answers) == 3
    for prompt, answer in zip(prompts, answers, strict=True):
        assert answer.agrees(await asked(path, prompt))


@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "bf16", "f32"])
async def test_caches_of_other_types(tmp_path: Path, placed: Placed, kind: KVCacheType):
    path = tmp_path / "model.gguf"
    KINDS["full"](path)
    async with loaded(path, placed=placed, pool=512, kv_cache_type=kind) as engine:
        first = await ask(engine, PROMPT, num_predict=8, logprobs=2)
        for other in OTHERS:
            await ask(engine, other, num_predict=8)
        again = await ask(engine, PROMPT, num_predict=8, logprobs=2)
    assert again.finish.cached_tokens == again.finish.prompt_tokens
    assert again.agrees(first)
