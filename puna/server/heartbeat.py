"""Heartbeats for answers with long silences: during prefill, or while a tool call is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

HEARTBEAT = 10.0
"""Seconds of silence after which something is sent."""

_WAITING = 64
"""Items buffered for a client that reads slowly."""


async def with_heartbeats(items: AsyncGenerator[T, None], seconds: float) -> AsyncGenerator[T | None, None]:
    """The items, and None after each `seconds` without one. Closing it closes `items`.

    The items are produced in their own task, because cancelling a wait would cancel the generator.
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
