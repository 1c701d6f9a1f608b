"""Superfluous slashes in paths, from base URLs with a trailing slash.

Repeated slashes count as one. A trailing slash is redirected, as in Ollama's router (gin).
"""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from puna.server.paths import paths

_SLASHES = re.compile("/{2,}")


class CollapseSlashes:
    """ASGI middleware: collapses repeated slashes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "//" in scope["path"]:
            scope["path"] = _SLASHES.sub("/", scope["path"])
        await self._app(scope, receive, send)


class RedirectTrailingSlash:
    """ASGI middleware: redirects `/path/` to `/path`, if there is one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._app
        if scope["type"] == "http" and scope["path"].endswith("/") and scope["path"] != "/":
            path = scope["path"][:-1]
            if _is_known(scope["app"], path):
                # Relative, because behind a proxy the server does not know its public host.
                query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
                answer = RedirectResponse(quote(path) + query, 301 if scope["method"] == "GET" else 307)
        await answer(scope, receive, send)


def _is_known(app: Starlette, path: str) -> bool:
    return any(known.pattern.fullmatch(path) for known in paths(app.routes))
