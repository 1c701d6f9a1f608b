"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response

from puna.access import AccessDenied, ModelForbidden, TooMany
from puna.errors import BadRequest, NotFound, PromptTooLong
from puna.server.errors import handlers, headers, sentence, status_of
from puna.server.json_response import JSON, encode

FieldNames = Callable[[str], str]
"""Maps inference's name of a field to the dialect's."""


class ErrorInfo(msgspec.Struct):
    """`param` is the invalid field; `code` identifies errors for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(msgspec.Struct):
    """The body of every failure, and the event that ends a stream that failed."""

    error: ErrorInfo


def use_field_names(request: Request, names: FieldNames) -> None:
    """Translate field names in later errors of `request` by `names`."""
    request.scope["names"] = names


def line(error: Exception, names: FieldNames = str) -> bytes:
    """The JSON object for `error`."""
    param, code = _param_and_code(error, names)
    kind = error.resource if isinstance(error, TooMany) else ""
    return _error_body(message_of(error), status_of(error), param, code, kind)


def message_of(error: Exception) -> str:
    """The message for the client. Agents recognise OpenAI's wording, and shorten the conversation."""
    if isinstance(error, PromptTooLong) and error.tokens:
        return (
            f"This model's maximum context length is {error.limit} tokens. However, your messages resulted "
            f"in {error.tokens} tokens. Please reduce the length of the messages."
        )
    return sentence(error)


async def on_error(request: Request, error: Exception) -> Response:
    """The response to a request that failed before its first byte."""
    body = line(error, request.scope.get("names", str))
    return Response(body, status_of(error), headers(error), JSON)


async def on_unrouted(request: Request, error: Exception) -> Response:
    """The response to an unknown path or method."""
    assert isinstance(error, HTTPException)
    status, route = error.status_code, f"{request.method} {request.url.path}"
    if status == 404:
        body = _error_body(f"Unknown request URL: {route}", status, code="unknown_url")
    elif status == 405:
        body = _error_body(f"Method not allowed: {route}", status, code="method_not_allowed")
    else:
        body = _error_body(error.detail, status)
    return Response(body, status, error.headers, media_type=JSON)


MIDDLEWARE = [Middleware(ExceptionMiddleware, handlers=handlers(on_error, on_unrouted))]


def _param_and_code(error: Exception, names: FieldNames) -> tuple[str | None, str | None]:
    """OpenAI's `param` and `code`."""
    if isinstance(error, AccessDenied):
        return "model" if isinstance(error, ModelForbidden) else None, error.code
    if isinstance(error, NotFound):
        return "model", "model_not_found"
    if isinstance(error, BadRequest) and error.field:
        return names(error.field), error.code
    return None, None


def _error_body(
    message: str, status: int, param: str | None = None, code: str | None = None, kind: str = ""
) -> bytes:
    usual = (
        "not_found_error" if status == 404 else "invalid_request_error" if status < 500 else "server_error"
    )
    return encode(ErrorResponse(ErrorInfo(message, kind or usual, param, code)))
