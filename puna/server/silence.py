"""Something to say while an answer is long in coming: a prompt that is read, a tool call that is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds without a word after which a client is told that the answer is on its way."""

_WAITING = 64
"""Items made ahead of a client that reads slowly."""


async def attended(items: AsyncGenerator[T, None], seconds: float) -> AsyncGenerator[T | None, None]:
    """The items, and None after each `seconds` without one. Closing it closes `items`.

    The items are made in a task of their own, because a wait that is given up ends what it waits for.
    """
    queue: asyncio.Queue[T | Exception | None] = asyncio.Queue(_WAITING)
    ended = StopAsyncIteration()
    loop = asyncio.get_running_loop()
    came = False

    async def make() -> None:
        nonlocal came
        try:
            async with aclosing(items):
                async for item in items:
                    came = True
                    await queue.put(item)
            await queue.put(ended)
        except Exception as error:
            await queue.put(error)

    def look() -> None:
        nonlocal came, timer
        if not came and queue.empty():
            queue.put_nowait(None)
        came = False
        timer = loop.call_later(seconds, look)

    timer = loop.call_later(seconds, look)
    maker = asyncio.create_task(make())
    try:
        while (item := await queue.get()) is not ended:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        timer.cancel()
        maker.cancel()
        await asyncio.wait([maker])
