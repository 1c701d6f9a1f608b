"""Answers as Server-Sent Events with names, in Anthropic's dialect and the Responses API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

import msgspec

from puna.inference import Begun, Piece, Summary
from puna.server.framing import EVENTS, Framing
from puna.server.heartbeat import HEARTBEAT, with_heartbeats
from puna.server.json_response import encode
from puna.server.searching import Searched, SearchingEvent

NAMED_EVENTS = Framing(EVENTS.content_type, b"", b"")
"""For events already framed by `named_event`."""

NOT_STARTED = Begun(0, 0)
"""The counts of a prompt that has not been evaluated."""


class NamedEvent(msgspec.Struct):
    """The data of an SSE event; `type` is the event's name."""

    type: str


def named_event(event: NamedEvent) -> bytes:
    """The event with its name and its data."""
    return b"event: %s\ndata: %s\n\n" % (event.type.encode(), encode(event))


class AnswerEvents(Protocol):
    """The events of one answer. Each method returns the events that follow from its argument."""

    @property
    def response(self) -> Any:
        """The answer as one object; complete after `end`."""
        ...

    def begin(self, prompt: Begun) -> bytes: ...

    def piece(self, piece: Piece) -> bytes:
        """Empty for an empty piece."""
        ...

    def searched(self, searched: Searched) -> bytes: ...

    def end(self, summary: Summary) -> bytes: ...

    def heartbeat(self) -> bytes:
        """A sign of life after `begin`."""
        ...


async def stream_events(
    answer: AsyncGenerator[SearchingEvent, None], events: AnswerEvents, patience: float = HEARTBEAT
) -> AsyncGenerator[bytes, None]:
    """The events of the answer, and heartbeats after `patience` seconds of silence.

    The first event waits for the first piece or heartbeat, so that an early error still gets its status.
    """
    begun = False
    prompt = NOT_STARTED
    async with aclosing(with_heartbeats(answer, patience)) as items:
        async for item in items:
            if isinstance(item, Begun):
                prompt = item
                continue
            event = b"" if begun else events.begin(prompt)
            if isinstance(item, Piece):
                event += events.piece(item)
            elif isinstance(item, Searched):
                event += events.searched(item)
            elif isinstance(item, Summary):
                event += events.end(item)
            elif begun:
                event = events.heartbeat()
            begun = True
            if event:
                yield event


async def whole_response(answer: AsyncGenerator[SearchingEvent, None], events: AnswerEvents) -> bytes:
    """The answer as one JSON object."""
    async with aclosing(stream_events(answer, events)) as stream:
        async for _ in stream:
            pass
    return encode(events.response)
