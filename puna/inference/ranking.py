"""Scores documents for a query: by a reranker, or by the cosine of embeddings."""

from __future__ import annotations

from puna.errors import BadRequest
from puna.inference.requests import ModelInput
from puna.library import Model
from puna.types import Engine, Ranking


class RankInput(ModelInput, frozen=True, kw_only=True):
    """Which of `documents` answer `query` best."""

    query: str
    documents: list[str]
    truncate: bool = True


def check_rank(request: RankInput, model: Model) -> None:
    """Raises BadRequest if `model` neither ranks nor embeds."""
    if not {"rerank", "embedding"} & set(model.capabilities()):
        raise BadRequest(f'"{request.model}" does not support reranking')


async def rank(request: RankInput, model: Model, engine: Engine) -> Ranking:
    """A score for each document: a reranker's from 0 to 1, or the cosine of two embeddings."""
    if "rerank" in model.capabilities():
        return await engine.rank(request.query, request.documents, truncate=request.truncate)
    found = await engine.embed([request.query, *request.documents], truncate=request.truncate)
    question, *vectors = found.vectors
    cosines = (sum(a * b for a, b in zip(question, vector, strict=True)) for vector in vectors)
    # Rounding makes more than 1 of equal texts, which some clients refuse.
    return Ranking(scores=[max(-1.0, min(1.0, cosine)) for cosine in cosines], tokens=found.tokens)
