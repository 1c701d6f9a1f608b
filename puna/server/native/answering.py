"""Answers of chat and generate: a stream of JSON objects, or one object."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Literal

from starlette.requests import Request

from puna.inference import Answer, ChatInput, GenerateInput, Inference, Piece, Rendered, Summary, joined
from puna.server.framing import ObjectStream, WholeResponse, framing
from puna.server.json_response import encode
from puna.server.native.requests import TextRequest
from puna.server.native.responses import ChatResponse, GenerateResponse, debug_info, ending, now

MakeObject = Callable[..., ChatResponse | GenerateResponse]
"""Makes an object from the model, a piece and the fields that both endpoints have, by name."""


class ObjectWriter:
    """Writes the JSON objects of an endpoint."""

    def __init__(self, make: MakeObject, model: str, *, context: bool = True) -> None:
        """`context`: the last object has the answer's token ids."""
        self._make = partial(make, model)
        self._context = context

    def piece(self, piece: Piece) -> bytes:
        """An object in the middle of a stream."""
        return encode(self._open(piece))

    def ending(self, rest: Piece, summary: Summary) -> bytes:
        """The last object, with the unsent `rest`."""
        final = self._make(rest, **ending(summary))
        if self._context and summary.tokens:
            final.context = summary.tokens
        return encode(final)

    def done(self, reason: Literal["load", "unload"]) -> bytes:
        """The only object for a request that loads or unloads a model."""
        return encode(self._make(Piece(), created_at=now(), done=True, done_reason=reason))

    def rendered(self, rendered: Rendered) -> bytes:
        """The only object for a request with `_debug_render_only`."""
        only = self._open(Piece())
        only.debug_info = debug_info(rendered)
        return encode(only)

    def _open(self, piece: Piece) -> ChatResponse | GenerateResponse:
        return self._make(piece, created_at=now(), done=False)


def respond(
    request: Request,
    inference: Inference,
    wanted: ChatInput | GenerateInput,
    writer: ObjectWriter,
    body: TextRequest,
) -> ObjectStream | WholeResponse:
    """The response to `body`, read as `wanted`: a stream, or one object if that is all there is."""
    if wanted.empty:
        return WholeResponse(_load(inference, wanted, writer))
    if body.debug_render_only:
        return WholeResponse(_render(inference, wanted, writer))
    answer = inference.chat(wanted) if isinstance(wanted, ChatInput) else inference.generate(wanted)
    if body.stream is False:
        return WholeResponse(whole_object(answer, writer))
    return ObjectStream(stream_objects(answer, writer), framing(request))


async def _load(inference: Inference, wanted: ChatInput | GenerateInput, writer: ObjectWriter) -> bytes:
    """An empty request loads the model, or unloads it with `keep_alive` 0."""
    if wanted.keep_alive == 0:
        await inference.unload(wanted.model)
        return writer.done("unload")
    await inference.load(wanted)
    return writer.done("load")


async def _render(inference: Inference, wanted: ChatInput | GenerateInput, writer: ObjectWriter) -> bytes:
    return writer.rendered(await inference.render(wanted))


async def stream_objects(answer: Answer, writer: ObjectWriter) -> AsyncGenerator[bytes, None]:
    """An object for each piece, then the last one, without text."""
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Piece):
                yield writer.piece(item)
            elif isinstance(item, Summary):
                yield writer.ending(Piece(), item)


async def whole_object(answer: Answer, writer: ObjectWriter) -> bytes:
    """One object with the whole answer."""
    pieces: list[Piece] = []
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Summary):
                return writer.ending(joined(pieces), item)
            if isinstance(item, Piece):
                pieces.append(item)
    raise AssertionError("an answer ends with a summary")
