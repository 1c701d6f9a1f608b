"""POST /api/generate."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from starlette.requests import Request

from puna.inference import GenerateInput, Piece
from puna.server.body import decode_body
from puna.server.content import escape_markers
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.native.answering import ObjectWriter, respond
from puna.server.native.messages import pictures
from puna.server.native.requests import GenerateRequest
from puna.server.native.responses import GenerateResponse, logprobs
from puna.server.services import services_of


async def generate(request: Request) -> ObjectStream | WholeResponse:
    """The answer, an object a line unless `stream` is false (Ollama api.md, Generate a completion)."""
    body = await decode_body(request, GenerateRequest)
    services = services_of(request)
    wanted = GenerateInput(
        **body.common_fields,
        prompt=escape_markers(body.prompt or ""),
        suffix=escape_markers(body.suffix or ""),
        system=escape_markers(body.system or ""),
        template=body.template or "",
        context=body.context,
        raw=body.raw is True,
        images=await pictures(body.images, "images", services.remote_for(body.model_name)),
    )
    return respond(request, services.inference, wanted, ObjectWriter(_object, wanted.model), body)


def _object(model: str, piece: Piece, **rest: Any) -> GenerateResponse:
    return GenerateResponse(
        model=model,
        output=piece.text,
        thinking=piece.thinking or UNSET,
        logprobs=logprobs(piece.logprobs),
        **rest,
    )
