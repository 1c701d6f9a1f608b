"""Several answers of one request: interleaved as a stream, or gathered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from msgspec.structs import replace

from puna.inference import Answer, AnswerEvent, Begun, Piece, Summary, joined
from puna.types import TokenLogprob

Indexed = tuple[int, AnswerEvent]

_AT_ONCE = 32
"""Answers of one request that run at the same time. The others wait here, not in the server's queue."""


async def interleave(answers: Sequence[Answer]) -> AsyncGenerator[Indexed, None]:
    """The events of all answers, each with its answer's index.

    Raises the first error and closes all answers. Closing the iterator closes them, too.
    """
    if len(answers) == 1:
        async with aclosing(answers[0]) as answer:
            async for item in answer:
                yield 0, item
        return
    # Bounded, so that a slow client slows the answers down.
    arrived: asyncio.Queue[Indexed | Exception | None] = asyncio.Queue(2 * len(answers))
    turn = asyncio.Semaphore(_AT_ONCE)

    async def follow(index: int, answer: Answer) -> None:
        try:
            async with turn, aclosing(answer):
                async for item in answer:
                    await arrived.put((index, item))
        except Exception as error:
            await arrived.put(error)
        else:
            await arrived.put(None)

    tasks = [asyncio.create_task(follow(index, answer)) for index, answer in enumerate(answers)]
    try:
        left = len(tasks)
        while left:
            item = await arrived.get()
            if isinstance(item, Exception):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def visible_logprobs(piece: Piece) -> Sequence[TokenLogprob]:
    """The log-probabilities of content, without those of reasoning and calls."""
    return () if (piece.thinking or piece.calls) and not piece.text else piece.logprobs


class WholeAnswer(NamedTuple):
    """A whole answer."""

    piece: Piece = Piece()
    """All of it; of the log-probabilities, the visible ones."""
    end: Summary | None = None
    """None for a rendered prompt."""
    prompt_logprobs: Sequence[TokenLogprob] = ()
    """Empty unless the request asks for them."""


async def collect(answers: Sequence[Answer]) -> list[WholeAnswer]:
    """The answers, each whole, in order."""
    pieces: list[list[Piece]] = [[] for _ in answers]
    ends: dict[int, Summary] = {}
    read: dict[int, Sequence[TokenLogprob]] = {}
    async with aclosing(interleave(answers)) as items:
        async for index, item in items:
            if isinstance(item, Piece):
                pieces[index].append(replace(item, logprobs=tuple(visible_logprobs(item))))
            elif isinstance(item, Begun):
                read[index] = item.read
            else:
                ends[index] = item
    return [WholeAnswer(joined(each), ends[index], read.get(index, ())) for index, each in enumerate(pieces)]
