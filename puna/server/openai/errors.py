"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from puna.server.errors import JSON, abandoned, sentence
from puna.types import BadRequest, InvalidName, NotFound, PunaError

_FIELD = re.compile(r'invalid value for "(?P<field>[^"]+)"')
"""How puna.server.body names the field in a refusal."""


class Invalid(BadRequest):
    """A field that is refused; `param` names it as the request does."""

    def __init__(self, param: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def line(error: Exception) -> bytes:
    """The JSON object that tells of `error`."""
    message = sentence(error)
    if isinstance(error, Invalid):
        return _told(message, error.status, error.param, error.code)
    if isinstance(error, NotFound):
        return _told(message, error.status, "model", "model_not_found")
    if isinstance(error, InvalidName):
        return _told(message, error.status, "model", "invalid_value")
    field = _FIELD.match(message)
    return _told(message, _status(error), field and field["field"])


async def refused(request: Request, error: Exception) -> Response:
    """The answer to a request that ended in `error` before its first byte."""
    return Response(line(error), _status(error), media_type=JSON)


async def unrouted(request: Request, error: Exception) -> Response:
    """The answer to an unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    status, asked = error.status_code, f"{request.method} {request.url.path}"
    if status == 404:
        body = _told(f"Unknown request URL: {asked}", status, code="unknown_url")
    elif status == 405:
        body = _told(f"Method not allowed: {asked}", status, code="method_not_allowed")
    else:
        body = _told(error.detail, status)
    return Response(body, status, error.headers, media_type=JSON)


HANDLERS: Any = {
    PunaError: refused,
    Exception: refused,
    HTTPException: unrouted,
    ClientDisconnect: abandoned,
}


def _status(error: Exception) -> int:
    return error.status if isinstance(error, PunaError) else 500


def _told(message: str, status: int, param: str | None = None, code: str | None = None) -> bytes:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})
