"""Heartbeats for answers with long silences: during prefill, or while a tool call is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

HEARTBEAT = 10.0
"""Seconds of silence before a heartbeat."""

_WAITING = 64
"""Items buffered for a client that reads slowly."""


async def with_heartbeats(items: AsyncGenerator[T, None], seconds: float) -> AsyncGenerator[T | None, None]:
    """The items, and None after each `seconds` without an item. Closing it closes `items`.

    A separate task produces the items, because a timeout on `anext` would cancel the generator.
    """
    queue: asyncio.Queue[T | Exception | None] = asyncio.Queue(_WAITING)
    ended = StopAsyncIteration()
    loop = asyncio.get_running_loop()
    produced = False

    async def produce() -> None:
        nonlocal produced
        try:
            async with aclosing(items):
                async for item in items:
                    produced = True
                    await queue.put(item)
            await queue.put(ended)
        except Exception as error:
            await queue.put(error)

    def check() -> None:
        nonlocal produced, timer
        if not produced and queue.empty():
            queue.put_nowait(None)
        produced = False
        timer = loop.call_later(seconds, check)

    timer = loop.call_later(seconds, check)
    producer = asyncio.create_task(produce())
    try:
        while (item := await queue.get()) is not ended:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        timer.cancel()
        producer.cancel()
        await asyncio.wait([producer])
