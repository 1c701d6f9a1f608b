"""An answer of inference as a stream of JSON objects or as one: what chat and generate share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request

from puna.inference import Answer, Piece, Rendered, Summary
from puna.server.framing import Stream, Whole, framing
from puna.server.native.responses import (
    ChatAnswer,
    GenerateAnswer,
    Pieces,
    debug_info,
    encode,
    ending,
    now,
)


class Form(ABC):
    """How an endpoint writes its objects."""

    def __init__(self, model: str, text: Pieces, *, context: bool = True) -> None:
        """`text` writes an object with nothing but text; with `context` the last one has it."""
        self._model = model
        self._text = text
        self._context = context

    @abstractmethod
    def answer(self, model: str, piece: Piece, **rest: Any) -> ChatAnswer | GenerateAnswer:
        """An object with `piece` and the fields that both endpoints have in common."""

    def piece(self, piece: Piece) -> bytes:
        """An object in the middle of a stream."""
        if piece.thinking or piece.calls or piece.logprobs:
            return encode(self._open(piece))
        return self._text.piece(piece.text)

    def ending(self, rest: Piece, summary: Summary) -> bytes:
        """The last object, with what was not sent before it."""
        final = self.answer(self._model, rest, **ending(summary))
        if self._context and summary.context:
            final.context = summary.context
        return encode(final)

    def rendered(self, rendered: Rendered) -> bytes:
        """The one object of an answer that generates nothing."""
        only = self._open(Piece())
        only.debug_info = debug_info(rendered)
        return encode(only)

    def _open(self, piece: Piece) -> ChatAnswer | GenerateAnswer:
        return self.answer(self._model, piece, created_at=now(), done=False)


def answered(request: Request, answer: Answer, form: Form, *, stream: bool) -> Stream | Whole:
    """`answer` as a stream, or as one object."""
    return Stream(streamed(answer, form), framing(request)) if stream else Whole(gathered(answer, form))


async def streamed(answer: Answer, form: Form) -> AsyncGenerator[bytes, None]:
    """An object for each piece, then the last one, with nothing of the answer in it."""
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Piece):
                yield form.piece(item)
            elif isinstance(item, Summary):
                yield form.ending(Piece(), item)
            elif isinstance(item, Rendered):
                yield form.rendered(item)


async def gathered(answer: Answer, form: Form) -> bytes:
    """The last object alone, with the whole answer."""
    pieces: list[Piece] = []
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Rendered):
                return form.rendered(item)
            if isinstance(item, Summary):
                return form.ending(_joined(pieces), item)
            if isinstance(item, Piece):
                pieces.append(item)
    raise AssertionError("an answer ends with a summary")


def _joined(pieces: list[Piece]) -> Piece:
    return Piece(
        text="".join(piece.text for piece in pieces),
        thinking="".join(piece.thinking for piece in pieces),
        calls=tuple(call for piece in pieces for call in piece.calls),
        logprobs=tuple(token for piece in pieces for token in piece.logprobs),
    )
