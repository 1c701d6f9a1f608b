"""An answer of inference as a stream of JSON objects or as one: what chat and generate share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from puna.inference import Answer, Piece, Rendered, Summary


class Form(Protocol):
    """How an endpoint writes its objects."""

    def piece(self, piece: Piece) -> bytes:
        """An object in the middle of a stream."""
        ...

    def ending(self, rest: Piece, summary: Summary) -> bytes:
        """The last object, with what was not sent before it."""
        ...

    def rendered(self, rendered: Rendered) -> bytes:
        """The one object of an answer that generates nothing."""
        ...


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
