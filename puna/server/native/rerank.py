"""POST /v1/rerank and its other paths, in the common format of Jina's and Cohere's APIs."""

from __future__ import annotations

from secrets import token_hex
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.routing import Route

from puna.errors import BadRequest
from puna.inference import Inference, RankInput
from puna.server.body import decode_body
from puna.server.fields import Fields
from puna.server.framing import WholeResponse
from puna.server.json_response import encode
from puna.server.methods import Only
from puna.server.native.requests import RunRequest, seconds
from puna.server.services import services_of


class Document(Fields):
    """A document in the form of an object, in requests and in answers."""

    text: str


class RerankRequest(RunRequest, kw_only=True):
    """The body of /v1/rerank. Unless `truncate` is false, documents that are too long lose their end."""

    query: str | None = None
    documents: list[str | Document] | None = None
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many of the best to answer; all when it is left out."""
    return_documents: bool | None = None
    truncate: bool | None = None


class RerankResult(msgspec.Struct, kw_only=True):
    """`relevance_score` is 0 to 1, or without a reranker the cosine of two vectors, -1 to 1."""

    index: int
    """The document's place in the request."""
    relevance_score: float
    document: Document | UnsetType = UNSET
    """Only if the request has `return_documents`."""


class RerankUsage(msgspec.Struct, kw_only=True):
    """Tokens evaluated; a reranker reads the query again with each document. Both are the same."""

    prompt_tokens: int
    total_tokens: int


class RerankTokens(msgspec.Struct, kw_only=True):
    """Where Cohere's clients look for the tokens."""

    input_tokens: int


class RerankMeta(msgspec.Struct, kw_only=True):
    """Cohere's place for what `usage` has."""

    tokens: RerankTokens


class RerankResponse(msgspec.Struct, kw_only=True):
    """`usage` is where Jina says how much was read, `meta` where Cohere does."""

    id: str
    model: str
    object: str = "list"
    results: list[RerankResult]
    """The most relevant first."""
    usage: RerankUsage
    meta: RerankMeta


async def rerank(request: Request) -> WholeResponse:
    """Scores all documents and answers the best. Raises BadRequest without a query or documents."""
    body = await decode_body(request, RerankRequest)
    if not body.query:
        raise BadRequest("query is required")
    if not body.documents:
        raise BadRequest("documents is required: a list of texts, or of objects with a text")
    ask = RankInput(
        model=body.model_name,
        query=body.query,
        documents=[_text(document) for document in body.documents],
        truncate=body.truncate is not False,
        options=body.options or {},
        keep_alive=seconds(body.keep_alive),
    )
    count = body.top_n or len(ask.documents)
    return WholeResponse(_rank(services_of(request).inference, ask, count, body.return_documents is True))


async def _rank(inference: Inference, ask: RankInput, count: int, with_documents: bool) -> bytes:
    ranked = await inference.rank(ask)
    scores = ranked.scores
    best = sorted(range(len(scores)), key=lambda index: -scores[index])[:count]
    results = [RerankResult(index=index, relevance_score=scores[index]) for index in best]
    if with_documents:
        for result in results:
            result.document = Document(ask.documents[result.index])
    return encode(
        RerankResponse(
            id=f"rerank-{token_hex(12)}",
            model=ask.model,
            results=results,
            usage=RerankUsage(prompt_tokens=ranked.tokens, total_tokens=ranked.tokens),
            meta=RerankMeta(tokens=RerankTokens(input_tokens=ranked.tokens)),
        )
    )


def _text(document: str | Document) -> str:
    return document if isinstance(document, str) else document.text


PATHS = ("/v1/rerank", "/v2/rerank", "/rerank", "/api/rerank")
"""Jina's, Cohere's, vLLM's and llama.cpp's, and one beside Ollama's."""

routes = [
    *(Route(path, rerank, methods=["POST"]) for path in PATHS),
    Route("/v1/rerank", Only("POST"), include_in_schema=False),
]
