"""One line in the log for each request, in the form of Ollama's."""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

_GONE = 499
"""The status of a request whose client went away before there was one, as nginx has it."""


class Log:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _log.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = _GONE

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            took = _duration(perf_counter() - began)
            client = (scope.get("client") or ("",))[0]
            _log.info('| %3d | %11s | %15s | %-7s "%s"', status, took, client, scope["method"], scope["path"])


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3f}{unit}"
    return f"{seconds * 1e6:.0f}µs"
