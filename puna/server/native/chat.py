"""POST /api/chat."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from starlette.requests import Request

from puna.inference import ChatRequest, Piece, Rendered, Summary
from puna.server.body import decoded
from puna.server.framing import Stream, Whole, framing
from puna.server.native.answering import gathered, streamed
from puna.server.native.messages import choice, tools, turns
from puna.server.native.requests import ChatBody
from puna.server.native.responses import (
    AnswerMessage,
    ChatAnswer,
    Pieces,
    debug_info,
    encode,
    ending,
    logprobs,
    now,
    tool_calls,
)
from puna.server.rooms import rooms


async def chat(request: Request) -> Stream | Whole:
    body = await decoded(request, ChatBody)
    opened = rooms(request)
    offered = tools(body.tools)
    mode, name = choice(body.tool_choice, offered)
    asked = ChatRequest(
        **body.asked,
        messages=await turns(body.messages or (), opened.visit(body.named)),
        tools=offered,
        tool_choice=mode,
        tool_name=name,
        parallel_calls=body.parallel_tool_calls is not False,
    )
    answer = opened.inference.chat(asked)
    whole = body.stream is False
    form = _Form(asked.model, whole=whole)
    return Whole(gathered(answer, form)) if whole else Stream(streamed(answer, form), framing(request))


class _Form:
    """A chat's objects: the answer is a message."""

    def __init__(self, model: str, *, whole: bool) -> None:
        self._model = model
        self._whole = whole
        self._text = Pieces(model, b'"message":{"role":"assistant","content":', b"}")

    def piece(self, piece: Piece) -> bytes:
        if piece.thinking or piece.calls or piece.logprobs:
            return encode(self._answer(piece, {"created_at": now(), "done": False}))
        return self._text.piece(piece.text)

    def ending(self, rest: Piece, summary: Summary) -> bytes:
        final = self._answer(rest, ending(summary))
        if self._whole and summary.context:
            final.context = summary.context
        return encode(final)

    def rendered(self, rendered: Rendered) -> bytes:
        final = self._answer(Piece(), {"created_at": now(), "done": False})
        final.debug_info = debug_info(rendered)
        return encode(final)

    def _answer(self, piece: Piece, rest: dict[str, Any]) -> ChatAnswer:
        said = AnswerMessage(
            content=piece.text, thinking=piece.thinking or UNSET, tool_calls=tool_calls(piece.calls)
        )
        return ChatAnswer(model=self._model, said=said, logprobs=logprobs(piece.logprobs), **rest)
