"""POST /api/embed, and its predecessor /api/embeddings."""

from __future__ import annotations

from starlette.requests import Request

from puna.errors import NotFound
from puna.inference import Embedded, EmbedInput, Inference
from puna.server.body import decode_body
from puna.server.framing import WholeResponse
from puna.server.json_response import encode
from puna.server.native.requests import EmbeddingRequest, EmbedRequest, seconds
from puna.server.native.responses import EmbeddingResponse, EmbedResponse
from puna.server.services import services_of


async def embed(request: Request) -> WholeResponse:
    """A vector for each text. Texts longer than the context are truncated, unless `truncate` is false."""
    body = await decode_body(request, EmbedRequest)
    # As in Ollama, "" means no text, but [""] means one empty text.
    texts = body.input if isinstance(body.input, list) else [body.input] if body.input else []
    ask = EmbedInput(
        model=body.model_name,
        texts=texts,
        truncate=body.truncate is not False,
        dimensions=body.dimensions or 0,
        options=body.options or {},
        keep_alive=seconds(body.keep_alive),
    )
    return WholeResponse(_vectors(services_of(request).inference, ask))


async def embeddings(request: Request) -> WholeResponse:
    """One vector, empty for an empty prompt. A prompt longer than the context is refused, never truncated."""
    body = await decode_body(request, EmbeddingRequest)
    ask = EmbedInput(
        model=body.model_name,
        texts=[body.prompt] if body.prompt else [],
        truncate=False,
        legacy=True,
        options=body.options or {},
        keep_alive=seconds(body.keep_alive),
    )
    return WholeResponse(_vector(services_of(request).inference, ask))


async def _vectors(inference: Inference, ask: EmbedInput) -> bytes:
    answer = await _answer(inference, ask)
    body = EmbedResponse(model=ask.model, embeddings=answer.vectors)
    if answer.vectors:
        body.total_duration = answer.total_ns
        body.load_duration = answer.load_ns
        body.prompt_eval_count = answer.tokens
    return encode(body)


async def _answer(inference: Inference, ask: EmbedInput) -> Embedded:
    try:
        return await inference.embed(ask)
    except NotFound:
        # Ollama words this one differently (server/routes.go, handleScheduleError).
        raise NotFound(f'model "{ask.model}" not found, try pulling it first') from None


async def _vector(inference: Inference, ask: EmbedInput) -> bytes:
    answer = await _answer(inference, ask)
    return encode(EmbeddingResponse(answer.vectors[0] if answer.vectors else []))
