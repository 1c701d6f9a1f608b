"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from puna.server.errors import JSON, abandoned, sentence
from puna.types import BadRequest, NotFound, PunaError

_FIELD = re.compile(r'invalid value for "(?P<field>[^"]+)"')
"""How puna.server.body names the field in a refusal."""

_TOO_LONG = "exceeds the context length"
"""How the engine's refusal ends."""


class Invalid(BadRequest):
    """A field that is refused; `param` names it as the request does."""

    def __init__(self, param: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(f"{param}: {message}")
        self.param = param
        self.code = code


class Unknown(PunaError):
    """An answer that is not kept, or no more."""

    status = 404

    def __init__(self, id: str) -> None:
        super().__init__(f"Response with id '{id}' not found.")


class UnknownPrevious(BadRequest):
    """The answer to go on from is not kept, or no more."""

    def __init__(self, id: str) -> None:
        super().__init__(f"Previous response with id '{id}' not found.")


async def refused(request: Request, error: Exception) -> Response:
    """The answer to a request that ended in `error` before its first byte."""
    status = error.status if isinstance(error, PunaError) else 500
    param, code = _place(error)
    return _told(status, sentence(error), param, code)


async def unrouted(request: Request, error: Exception) -> Response:
    """The answer to an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code)
    message = f"{error.detail}: {request.method} {request.url.path}"
    answer = _told(error.status_code, message, None, code)
    answer.headers.update(error.headers or {})
    return answer


_HANDLERS: dict[Any, Any] = {
    PunaError: refused,
    Exception: refused,
    HTTPException: unrouted,
    ClientDisconnect: abandoned,
}
MIDDLEWARE = [Middleware(ExceptionMiddleware, handlers=_HANDLERS)]


def _place(error: Exception) -> tuple[str | None, str | None]:
    """The field that is wrong and OpenAI's word for how."""
    if isinstance(error, Invalid):
        return error.param, error.code
    if isinstance(error, UnknownPrevious):
        return "previous_response_id", "previous_response_not_found"
    if isinstance(error, NotFound):
        return "model", "model_not_found"
    if str(error).endswith(_TOO_LONG):
        return "input", "context_length_exceeded"
    field = _FIELD.match(str(error))
    return (field["field"], "invalid_value") if field else (None, None)


def _told(status: int, message: str, param: str | None, code: str | None) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    told = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return Response(msgspec.json.encode(told), status, media_type=JSON)
