"""POST /api/generate."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from starlette.requests import Request

from puna.inference import GenerateInput, Piece
from puna.server.body import decoded
from puna.server.content import unmarked
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.native.answering import ObjectWriter, answered
from puna.server.native.messages import pictures
from puna.server.native.requests import GenerateRequest
from puna.server.native.responses import GenerateResponse, logprobs
from puna.server.rooms import rooms


async def generate(request: Request) -> ObjectStream | WholeResponse:
    """The answer, an object a line unless `stream` is false (Ollama api.md, Generate a completion)."""
    body = await decoded(request, GenerateRequest)
    opened = rooms(request)
    wanted = GenerateInput(
        **body.common_fields,
        prompt=unmarked(body.prompt or ""),
        suffix=unmarked(body.suffix or ""),
        system=unmarked(body.system or ""),
        template=body.template or "",
        context=body.context,
        raw=body.raw is True,
        images=await pictures(body.images, "images", opened.visit(body.named)),
    )
    return answered(request, opened.inference, wanted, _GenerateWriter(wanted.model), body)


class _GenerateWriter(ObjectWriter):
    """A completion's objects: the answer is a text."""

    def answer(self, model: str, piece: Piece, **rest: Any) -> GenerateResponse:
        return GenerateResponse(
            model=model,
            output=piece.text,
            thinking=piece.thinking or UNSET,
            logprobs=logprobs(piece.logprobs),
            **rest,
        )
