"""POST /api/generate."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from starlette.requests import Request

from puna.inference import GenerateRequest, Piece, Rendered, Summary
from puna.server.body import decoded
from puna.server.content import unmarked
from puna.server.framing import Stream, Whole, framing
from puna.server.native.answering import gathered, streamed
from puna.server.native.messages import pictures
from puna.server.native.requests import GenerateBody
from puna.server.native.responses import GenerateAnswer, Pieces, debug_info, encode, ending, logprobs, now
from puna.server.rooms import rooms


async def generate(request: Request) -> Stream | Whole:
    body = await decoded(request, GenerateBody)
    opened = rooms(request)
    asked = GenerateRequest(
        **body.asked,
        prompt=unmarked(body.prompt or ""),
        suffix=unmarked(body.suffix or ""),
        system=unmarked(body.system or ""),
        template=body.template or "",
        context=body.context,
        raw=body.raw is True,
        images=await pictures(body.images, "images", opened.visit(body.named)),
    )
    answer = opened.inference.generate(asked)
    form = _Form(asked.model)
    if body.stream is False:
        return Whole(gathered(answer, form))
    return Stream(streamed(answer, form), framing(request))


class _Form:
    """A completion's objects: the answer is a text."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._text = Pieces(model, b'"response":', b"")

    def piece(self, piece: Piece) -> bytes:
        if piece.thinking or piece.logprobs:
            return encode(self._answer(piece, {"created_at": now(), "done": False}))
        return self._text.piece(piece.text)

    def ending(self, rest: Piece, summary: Summary) -> bytes:
        final = self._answer(rest, ending(summary))
        if summary.context:
            final.context = summary.context
        return encode(final)

    def rendered(self, rendered: Rendered) -> bytes:
        final = self._answer(Piece(), {"created_at": now(), "done": False})
        final.debug_info = debug_info(rendered)
        return encode(final)

    def _answer(self, piece: Piece, rest: dict[str, Any]) -> GenerateAnswer:
        return GenerateAnswer(
            model=self._model,
            said=piece.text,
            thinking=piece.thinking or UNSET,
            logprobs=logprobs(piece.logprobs),
            **rest,
        )
