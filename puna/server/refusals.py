"""Errors raised before routing, answered in the dialect of the path."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from puna.errors import PunaError
from puna.server.anthropic.errors import MIDDLEWARE as ANTHROPIC
from puna.server.errors import HANDLERS
from puna.server.native.rerank import PATHS as RERANK
from puna.server.openai.errors import MIDDLEWARE as OPENAI


async def refuse(error: PunaError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the request with `error`."""
    scope["refusal"] = error
    await _dialect(scope)(scope, receive, send)


async def _raise(scope: Scope, receive: Receive, send: Send) -> None:
    raise scope["refusal"]


def _raising(middleware: Sequence[Middleware]) -> ASGIApp:
    app: ASGIApp = _raise
    for layer in reversed(middleware):
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


_ANTHROPIC = _raising(ANTHROPIC)
_OPENAI = _raising(OPENAI)
_NATIVE = _raising([Middleware(ExceptionMiddleware, handlers=HANDLERS)])


def _dialect(scope: Scope) -> ASGIApp:
    path = scope["path"]
    if not path.startswith("/v1/") or path in RERANK:
        return _NATIVE
    versioned = any(name == b"anthropic-version" for name, _ in scope["headers"])
    if path.startswith("/v1/messages") or (versioned and path.startswith("/v1/models")):
        return _ANTHROPIC
    return _OPENAI
