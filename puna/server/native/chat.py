"""POST /api/chat."""

from __future__ import annotations

from starlette.requests import Request

from puna.inference import ChatRequest, Summary, grammar
from puna.server.body import decoded
from puna.server.framing import Stream, Whole, framing
from puna.server.native.answering import gathered, streamed
from puna.server.native.requests import ChatBody, message, seconds, thinking
from puna.server.native.responses import AnswerMessage, ChatAnswer, Pieces, encode, ending
from puna.server.rooms import rooms


async def chat(request: Request) -> Stream | Whole:
    body = await decoded(request, ChatBody)
    model = body.named
    answer = rooms(request).inference.chat(
        ChatRequest(
            model=model,
            messages=[message(turn) for turn in body.messages or ()],
            tools=body.tools or [],
            think=thinking(body.think),
            grammar=grammar(body.format),
            options=body.options or {},
            keep_alive=seconds(body.keep_alive),
            truncate=body.truncate is not False,
            shift=body.shift is not False,
        )
    )
    whole = body.stream is False

    def finish(text: str, summary: Summary) -> bytes:
        final = ChatAnswer(model=model, message=AnswerMessage(content=text), **ending(summary))
        if whole and summary.context:
            final.context = summary.context
        return encode(final)

    if whole:
        return Whole(gathered(answer, finish))
    pieces = Pieces(model, b'"message":{"role":"assistant","content":', b"}")
    return Stream(streamed(answer, pieces, finish), framing(request))
