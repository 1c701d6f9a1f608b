"""POST /api/tokenize and /api/detokenize: text to a model's token ids and back, without an answer.

Ollama has neither. The field names come from proposals to Ollama (`text`), llama.cpp's server (`content`) and
vLLM (`prompt`).
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from puna.errors import BadRequest
from puna.inference import Inference
from puna.server.body import decode_body
from puna.server.fields import TokenId
from puna.server.framing import WholeResponse
from puna.server.json_response import encode
from puna.server.native.requests import ModelRequest, seconds
from puna.server.services import services_of


class TokenizeRequest(ModelRequest, kw_only=True):
    """The body of /api/tokenize."""

    text: str | None = None
    content: str | None = None
    """The same as `text`."""
    prompt: str | None = None
    """The same as `text`."""
    add_special: bool | None = None
    """Put the model's begin token first, as a prompt has it."""
    keep_alive: float | str | None = None


class DetokenizeRequest(ModelRequest, kw_only=True):
    """The body of /api/detokenize."""

    tokens: list[TokenId] | None = None
    keep_alive: float | str | None = None


class TokenizeResponse(msgspec.Struct, kw_only=True):
    """The answer of /api/tokenize; `count` is how many there are."""

    model: str
    tokens: list[int]
    count: int


class DetokenizeResponse(msgspec.Struct, kw_only=True):
    """The answer of /api/detokenize."""

    model: str
    text: str
    content: str
    """The same as `text`."""


async def tokenize(request: Request) -> WholeResponse:
    """Loads the model for its vocabulary. Raises BadRequest without a text."""
    body = await decode_body(request, TokenizeRequest)
    text = next((given for given in (body.text, body.content, body.prompt) if given is not None), None)
    if text is None:
        raise BadRequest("text is required")
    return WholeResponse(_tokens(services_of(request).inference, body, body.model_name, text))


async def detokenize(request: Request) -> WholeResponse:
    """Loads the model for its vocabulary. Raises BadRequest without tokens."""
    body = await decode_body(request, DetokenizeRequest)
    if body.tokens is None:
        raise BadRequest("tokens is required")
    return WholeResponse(_text(services_of(request).inference, body, body.model_name, body.tokens))


async def _tokens(inference: Inference, body: TokenizeRequest, model: str, text: str) -> bytes:
    tokens = await inference.tokenize(
        model, text, add_special=body.add_special is True, keep_alive=seconds(body.keep_alive)
    )
    return encode(TokenizeResponse(model=model, tokens=tokens, count=len(tokens)))


async def _text(inference: Inference, body: DetokenizeRequest, model: str, tokens: list[int]) -> bytes:
    text = await inference.detokenize(model, tokens, keep_alive=seconds(body.keep_alive))
    return encode(DetokenizeResponse(model=model, text=text, content=text))


routes = [
    Route("/api/tokenize", tokenize, methods=["POST"]),
    Route("/api/detokenize", detokenize, methods=["POST"]),
]
