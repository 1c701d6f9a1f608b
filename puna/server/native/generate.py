"""POST /api/generate."""

from __future__ import annotations

from starlette.requests import Request

from puna.inference import GenerateRequest, Summary, grammar
from puna.server.body import decoded
from puna.server.framing import Stream, Whole, framing
from puna.server.native.answering import gathered, streamed
from puna.server.native.requests import GenerateBody, seconds, thinking
from puna.server.native.responses import GenerateAnswer, Pieces, encode, ending
from puna.server.rooms import rooms


async def generate(request: Request) -> Stream | Whole:
    body = await decoded(request, GenerateBody)
    model = body.named
    answer = rooms(request).inference.generate(
        GenerateRequest(
            model=model,
            prompt=body.prompt or "",
            suffix=body.suffix or "",
            system=body.system or "",
            template=body.template or "",
            context=body.context,
            raw=body.raw is True,
            images=body.images or [],
            think=thinking(body.think),
            grammar=grammar(body.format),
            options=body.options or {},
            keep_alive=seconds(body.keep_alive),
            truncate=body.truncate is not False,
            shift=body.shift is not False,
        )
    )

    def finish(text: str, summary: Summary) -> bytes:
        final = GenerateAnswer(model=model, response=text, **ending(summary))
        if summary.context:
            final.context = summary.context
        return encode(final)

    if body.stream is False:
        return Whole(gathered(answer, finish))
    return Stream(streamed(answer, Pieces(model, b'"response":', b""), finish), framing(request))
