"""Something is said in silences, and nothing of an answer is lost or left running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from puna.inference import Answer, Begun, Piece, Summary
from puna.server.anthropic.answer import RequestFacts
from puna.server.anthropic.events import PING, MessageEvents
from puna.server.heartbeat import with_heartbeats
from puna.server.named_events import stream_events

SOON, NEVER = 0.001, 1000.0


class Source:
    """Numbers, each after an event that a test sets; knows whether it was closed."""

    def __init__(self, count: int) -> None:
        self.go = [asyncio.Event() for _ in range(count)]
        self.closed = False

    async def __aiter__(self) -> AsyncGenerator[int, None]:
        try:
            for number, event in enumerate(self.go):
                await event.wait()
                yield number
        finally:
            self.closed = True


async def test_items_come_in_order_and_silences_between_them():
    source = Source(3)
    found: list[int | None] = []
    async for item in with_heartbeats(source.__aiter__(), SOON):
        found.append(item)
        silent = len(found) - found.index(None) if None in found else 0
        if item is None and silent >= 2:
            for event in source.go:
                event.set()
    assert [item for item in found if item is not None] == [0, 1, 2]
    assert found[:2] == [None, None]
    assert source.closed


async def test_what_goes_wrong_comes_after_what_came_before():
    async def failing() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("no")

    items = with_heartbeats(failing(), NEVER)
    assert await anext(items) == 1
    with pytest.raises(ValueError, match="no"):
        await anext(items)


async def test_leaving_ends_what_is_waited_for():
    source = Source(2)
    source.go[0].set()
    items = with_heartbeats(source.__aiter__(), NEVER)
    async with aclosing(items):
        assert await anext(items) == 0
    assert source.closed


async def test_a_cancelled_wait_ends_what_is_waited_for():
    source = Source(1)
    items = with_heartbeats(source.__aiter__(), NEVER)
    waiting = asyncio.ensure_future(anext(items))
    for _ in range(10):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert source.closed


async def test_a_reader_that_is_slow_slows_the_answer():
    made = 0

    async def busy() -> AsyncGenerator[int, None]:
        nonlocal made
        while True:
            made += 1
            yield made

    async with aclosing(with_heartbeats(busy(), NEVER)) as items:
        assert await anext(items) == 1
        for _ in range(1000):
            await asyncio.sleep(0)
        assert made < 100


async def test_the_message_starts_when_patience_ends_and_pings_follow():
    reading = asyncio.Event()

    async def answer() -> Answer:
        yield Begun(30, 10)
        await reading.wait()
        yield Piece(text="a")
        yield Summary(reason="stop")

    told: list[bytes] = []
    async for events in stream_events(answer(), MessageEvents(RequestFacts("msg_1", "m", 9, [], True)), SOON):
        told.append(events)
        if len(told) == 3:
            reading.set()
    assert told[0].startswith(b"event: message_start\n")
    assert b'"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":10' in told[0]
    assert told[1:3] == [PING, PING]
    assert b"".join(told).count(b"event: message_start\n") == 1
    assert b"".join(told).endswith(b'{"type":"message_stop"}\n\n')
