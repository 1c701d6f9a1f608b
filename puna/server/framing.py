"""JSON responses: one object, or a stream as NDJSON or Server-Sent Events.

Raw ASGI, because every streamed token passes here: a piece costs no task, queue or response object.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from puna.server.errors import line
from puna.server.heartbeat import with_heartbeats
from puna.server.json_response import JSON

T = TypeVar("T")


class Framing(msgspec.Struct, frozen=True):
    """How the objects of a stream are delimited."""

    content_type: bytes
    before: bytes
    after: bytes


NDJSON = Framing(b"application/x-ndjson", b"", b"\n")
EVENTS = Framing(b"text/event-stream", b"data: ", b"\n\n")

COMMENT = b": still at it\n\n"
"""An SSE comment (HTML, 9.2.6). Clients ignore it; it keeps the connection alive."""


def framing(request: Request) -> Framing:
    """Server-Sent Events if the client accepts them, otherwise NDJSON."""
    return EVENTS if "text/event-stream" in request.headers.get("accept", "") else NDJSON


class ObjectStream:
    """An ASGI response that streams JSON objects, each sent as soon as it is made.

    Raises an error before the first object, so that the response gets its status. A later error becomes the
    last object, made by `failure`. Closes `objects` when the client disconnects.
    """

    def __init__(
        self,
        objects: AsyncGenerator[bytes, None],
        framing: Framing,
        failure: Callable[[Exception], bytes] = line,
        *,
        patience: float | None = None,
    ) -> None:
        """`patience`: seconds of silence before a COMMENT."""
        self._objects = with_heartbeats(objects, patience) if patience else objects
        self._framing = framing
        self._failure = failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if await _while_connected(receive, self._send(send)):
            await send({"type": "http.response.body"})

    async def _send(self, send: Send) -> bool:
        before, after = self._framing.before, self._framing.after

        async def send_piece(item: bytes | None) -> None:
            body = COMMENT if item is None else before + item + after
            await send({"type": "http.response.body", "body": body, "more_body": True})

        async with aclosing(self._objects) as objects:
            first = await anext(objects)
            headers = [(b"content-type", self._framing.content_type), (b"cache-control", b"no-cache")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send_piece(first)
            try:
                async for item in objects:
                    await send_piece(item)
            except Exception as error:
                await send_piece(self._failure(error))
        return True


class WholeResponse:
    """An ASGI response of one JSON object; its work is cancelled when the client disconnects."""

    def __init__(self, work: Coroutine[Any, Any, bytes], content_type: str = JSON) -> None:
        self._work = work
        self._content_type = content_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _while_connected(receive, self._work)
        if body is None:
            return
        headers = [(b"content-type", self._content_type.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`; None when the client disconnected first and `work` was cancelled.

    `work` must not finish the response: receive() returns "disconnect" after that, too.
    """
    worker = asyncio.current_task()
    assert worker is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        worker.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        return None
    finally:
        watcher.cancel()
