"""Request ids, and the log line of each request, in Ollama's format.

The id is the client's `x-request-id` or a new one. The response returns it in that header, and the request's
log lines end with it (`puna.server.log_format`).
"""

from __future__ import annotations

import logging
import re
from contextvars import ContextVar
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from puna.server.errors import CLIENT_CLOSED
from puna.server.headers import with_headers
from puna.server.ids import new_id

_log = logging.getLogger(__name__)


_ID = re.compile(rb"[\w.:/+=@-]{1,128}")
"""Accepted ids: no characters that could end a line or a header."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The current request's id."""


class RequestLog:
    """ASGI middleware. Sets `scope["status"]` to the response's status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        scope["status"] = CLIENT_CLOSED
        name = _client_id(scope["headers"]) or new_id("req", 8).encode()
        request_id.set(name.decode())

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["status"] = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, with_headers(sending, (b"x-request-id", name)))
        finally:
            _log_request(scope, perf_counter() - began)


def _client_id(headers: list[tuple[bytes, bytes]]) -> bytes:
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given if _ID.fullmatch(given) else b""


def _log_request(scope: Scope, seconds: float) -> None:
    if not _log.isEnabledFor(logging.INFO):
        return
    facts = {
        "status": scope["status"],
        "seconds": round(seconds, 6),
        "client": (scope.get("client") or ("",))[0],
        "method": scope["method"],
        # Escaped, because line ends in a path would forge log lines.
        "path": scope["path"].encode("unicode_escape").decode(),
        "key": scope.get("caller", ""),
    }
    _log.info(
        '| %3d | %11s | %15s | %-7s "%s"%s',
        facts["status"],
        _duration(seconds),
        facts["client"],
        facts["method"],
        facts["path"],
        f" key={facts['key']}" if facts["key"] else "",
        extra={"facts": facts},
    )


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3f}{unit}"
    return f"{seconds * 1e6:.0f}µs"
