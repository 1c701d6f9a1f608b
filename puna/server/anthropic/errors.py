"""Errors in Anthropic's shape, each with the id of its request."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from puna.errors import BadRequest, PromptTooLong
from puna.server.errors import handlers, headers, sentence, status_of
from puna.server.headers import with_headers
from puna.server.ids import new_id
from puna.server.json_response import JSON, encode

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_STATUSES = {503: 529}
"""Anthropic's statuses, by ours."""


class AnthropicError(msgspec.Struct, omit_defaults=True):
    """`type` is a kind like "overloaded_error"; `details` may have a code for agents (Anthropic, Errors)."""

    type: str
    message: str
    details: dict[str, str] = {}


class AnthropicErrorResponse(msgspec.Struct):
    """The body of every failure, and a stream's `error` event (Anthropic, Errors)."""

    type: Literal["error"]
    error: AnthropicError
    request_id: str


class Unthreaded(BadRequest):
    """The client asked the server to store the conversation. On this code, it sends all messages."""

    code = "thread_unsupported_request"


class RequestIds:
    """ASGI middleware: gives each request an id, sent in the header `request-id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["request_id"] = new_id("req")
        await self._app(scope, receive, with_headers(send, (b"request-id", name.encode())))


def line(error: Exception, request_id: str) -> bytes:
    """The JSON object for `error`."""
    message = sentence(error)
    if isinstance(error, PromptTooLong):
        # Agents recognise Anthropic's wording, and shorten the conversation by the difference.
        counts = f"{error.tokens} tokens > {error.limit} maximum"
        message = f"prompt is too long: {counts if error.tokens else message}"
    details = {"error_code": error.code} if isinstance(error, Unthreaded) else {}
    return _error_body(status_of(error), message, request_id, details)


async def on_error(request: Request, error: Exception) -> Response:
    """The response to a request that failed before its first byte."""
    status = status_of(error)
    body = line(error, request.scope["request_id"])
    return Response(body, _STATUSES.get(status, status), headers(error), JSON)


async def on_unrouted(request: Request, error: Exception) -> Response:
    """The response to an unknown path or method."""
    assert isinstance(error, HTTPException)
    body = _error_body(error.status_code, error.detail, request.scope["request_id"])
    return Response(body, error.status_code, error.headers, media_type=JSON)


MIDDLEWARE = [
    Middleware(RequestIds),
    Middleware(ExceptionMiddleware, handlers=handlers(on_error, on_unrouted)),
]


def _error_body(status: int, message: str, request_id: str, details: dict[str, str] | None = None) -> bytes:
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return encode(AnthropicErrorResponse("error", AnthropicError(kind, message, details or {}), request_id))
