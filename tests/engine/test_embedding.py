"""Vectors of a small BERT and of a decoder that embeds by its last token."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from puna.errors import BadRequest
from tests.engine.asking import ask, loaded
from tests.models import decoder_embedding_model, embedding_model


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@pytest.fixture(params=[embedding_model, decoder_embedding_model])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make: Callable[[Path], None] = request.param
    make(tmp_path / "model.gguf")
    return tmp_path / "model.gguf"


async def test_vectors_are_normalised_and_do_not_depend_on_company(model: Path) -> None:
    texts = ["alpha", "a much longer text about nothing", "x", "alpha", ""]
    async with loaded(model, num_ctx=128, embedding=True) as engine:
        assert engine.info.embedding
        together = await engine.embed(texts, truncate=True)
        alone = [(await engine.embed([text], truncate=True)).vectors[0] for text in texts]
        assert [len(vector) for vector in together.vectors] == [64] * 5
        for vector, single in zip(together.vectors, alone, strict=True):
            assert math.isclose(math.sqrt(cosine(vector, vector)), 1, rel_tol=1e-5)
            assert cosine(vector, single) > 0.9999
        assert cosine(together.vectors[0], together.vectors[3]) > 0.9999
        assert cosine(together.vectors[0], together.vectors[1]) < 0.999


async def test_long_texts_lose_their_end_or_are_refused(model: Path) -> None:
    async with loaded(model, num_ctx=32, embedding=True) as engine:
        long = await engine.embed(["word " * 100], truncate=True)
        assert long.tokens == 32
        with pytest.raises(BadRequest, match="exceeds the context length"):
            await engine.embed(["word " * 100], truncate=False)
        assert (await engine.embed(["still alive"], truncate=False)).tokens < 32
        assert (await engine.embed(["word " * 100], truncate=True, limit=5)).tokens == 5
        assert (await engine.embed(["word " * 100], truncate=True, limit=100)).tokens == 32
        with pytest.raises(BadRequest, match="after truncation exceeds"):
            await engine.embed(["word " * 100], truncate=True, limit=1)


async def test_many_requests_at_once(model: Path) -> None:
    async with loaded(model, num_ctx=64, embedding=True) as engine:
        results = await asyncio.gather(
            *(engine.embed([f"text {n} {m}" for m in range(n)], truncate=True) for n in range(20))
        )
        assert [len(result.vectors) for result in results] == list(range(20))
        again = await engine.embed(["text 19 7"], truncate=True)
        assert cosine(again.vectors[0], results[19].vectors[7]) > 0.9999


async def test_an_embedding_model_does_not_generate(model: Path) -> None:
    async with loaded(model, num_ctx=64, embedding=True) as engine:
        with pytest.raises(BadRequest, match="cannot generate"):
            await ask(engine, "hello")
