"""Streams and single answers, over an application of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from puna.errors import Busy, EngineGone
from puna.server.errors import HANDLERS
from puna.server.framing import COMMENT, EVENTS, ObjectStream, WholeResponse, framing

Objects = Callable[[], AsyncGenerator[bytes, None]]


def application(objects: Objects) -> Starlette:
    async def stream(request: Request) -> ObjectStream:
        return ObjectStream(objects(), framing(request))

    async def whole(request: Request) -> WholeResponse:
        async def last() -> bytes:
            return [item async for item in objects()][-1]

        return WholeResponse(last())

    routes = [Route("/stream", stream), Route("/whole", whole)]
    return Starlette(routes=routes, exception_handlers=HANDLERS)


async def get(objects: Objects, path: str = "/stream", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(application(objects), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.get(path, headers=headers)


async def two() -> AsyncGenerator[bytes, None]:
    yield b'{"n":1}'
    yield b'{"n":2}'


async def test_lines_unless_events_are_asked_for():
    answer = await get(two)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == '{"n":1}\n{"n":2}\n'


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json, text/event-stream;q=0.9"])
async def test_events_for_who_accepts_them(accept: str):
    answer = await get(two, accept=accept)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text == 'data: {"n":1}\n\ndata: {"n":2}\n\n'


async def test_one_object_with_its_length():
    answer = await get(two, "/whole")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["content-length"] == "7"
    assert answer.json() == {"n": 2}


@pytest.mark.parametrize("path", ["/stream", "/whole"])
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [(Busy("server busy", 7), 503, "server busy"), (KeyError("secret"), 500, "internal error")],
)
async def test_what_fails_before_the_first_object_has_its_status(
    path: str, error: Exception, status: int, text: str
):
    async def failing() -> AsyncGenerator[bytes, None]:
        raise error
        yield b""

    answer = await get(failing, path)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("7" if status == 503 else None)
    assert text in answer.json()["error"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", '{"n":1}\n{"error":"the runner ended"}\n'),
        ("text/event-stream", 'data: {"n":1}\n\ndata: {"error":"the runner ended"}\n\n'),
    ],
)
async def test_what_fails_later_is_the_last_object(accept: str, expected: str):
    async def failing() -> AsyncGenerator[bytes, None]:
        yield b'{"n":1}'
        raise EngineGone("the runner ended")

    answer = await get(failing, accept=accept)
    assert answer.status_code == 200
    assert answer.text == expected


async def test_comments_are_sent_in_silences():
    sent: list[bytes] = []
    go = asyncio.Event()

    async def slow() -> AsyncGenerator[bytes, None]:
        await go.wait()
        yield b"{}"
        raise EngineGone("the runner ended")

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b"%d" % message["status"] if "status" in message else b""))
        if sent.count(COMMENT) == 2:
            go.set()

    await ObjectStream(slow(), EVENTS, patience=0.001)({"type": "http"}, receive, send)
    assert sent[:3] == [b"200", COMMENT, COMMENT]
    assert [body for body in sent[3:] if body != COMMENT] == [
        b"data: {}\n\n", b'data: {"error":"the runner ended"}\n\n', b"",
    ]  # fmt: skip


async def test_what_fails_before_patience_ends_has_its_status():
    async def failing() -> AsyncGenerator[bytes, None]:
        raise Busy("server busy")
        yield b""

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        raise AssertionError("nothing is said")

    with pytest.raises(Busy):
        await ObjectStream(failing(), EVENTS, patience=1000.0)({"type": "http"}, receive, send)


@pytest.mark.parametrize(
    ("path", "method", "status", "text"),
    [("/nowhere", "GET", 404, "404 page not found"), ("/stream", "PUT", 405, "405 method not allowed")],
)
async def test_unknown_paths_and_methods_are_answered_as_gin_does(
    path: str, method: str, status: int, text: str
):
    transport = httpx.ASGITransport(application(two))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.request(method, path)
    assert (answer.status_code, answer.text) == (status, text)


@pytest.mark.parametrize("path", ["/stream", "/whole"])
@pytest.mark.parametrize("started", [False, True])
async def test_the_work_is_closed_when_the_client_goes_away(path: str, started: bool):
    reached, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            if started:
                yield b"{}"
            reached.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    sent: list[dict[str, Any]] = []
    received = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in received:
            return message
        await reached.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [], "http_version": "1.1", "scheme": "http", "root_path": "",
    }  # fmt: skip
    await asyncio.wait_for(application(endless)(scope, receive, send), timeout=10)
    assert closed.is_set()
    bodies = [message["body"] for message in sent if message["type"] == "http.response.body"]
    assert bodies == ([b"{}\n"] if started and path == "/stream" else [])
