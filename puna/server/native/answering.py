"""An answer of inference as a stream of JSON objects or as one: what chat and generate share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from puna.inference import Piece, Summary
from puna.server.native.responses import Pieces

Answer = AsyncGenerator[Piece | Summary, None]
Finish = Callable[[str, Summary], bytes]
"""The last object of an answer, from its text and its summary."""


async def streamed(answer: Answer, pieces: Pieces, finish: Finish) -> AsyncGenerator[bytes, None]:
    """An object for each piece of text, then the last one, without text."""
    async with aclosing(answer):
        async for item in answer:
            yield pieces.piece(item.text) if isinstance(item, Piece) else finish("", item)


async def gathered(answer: Answer, finish: Finish) -> bytes:
    """The last object alone, with all the text."""
    text: list[str] = []
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Summary):
                return finish("".join(text), item)
            text.append(item.text)
    raise AssertionError("an answer ends with a summary")
