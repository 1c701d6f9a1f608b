"""Errors as responses: a PunaError as {"error": …} with its status, routing errors in gin's words."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from puna.errors import PunaError
from puna.server.json_response import JSON, encode

_log = logging.getLogger(__name__)

CLIENT_CLOSED = 499
"""nginx's status for a client that disconnected before it was answered."""


_UNEXPECTED = "internal error; the server's log has the details"
_GIN = {404: "404 page not found", 405: "405 method not allowed"}


class Error(msgspec.Struct):
    """The body of an error response."""

    error: str


def sentence(error: Exception) -> str:
    """The message for the client; an unexpected error goes to the log instead."""
    if isinstance(error, PunaError):
        return str(error)
    _log.error("unexpected error", exc_info=error)
    return _UNEXPECTED


def line(error: Exception) -> bytes:
    """The JSON object for `error`."""
    return encode(Error(sentence(error)))


def status_of(error: Exception) -> int:
    """The status of the response for `error`."""
    return error.status if isinstance(error, PunaError) else 500


def headers(error: Exception) -> dict[str, str]:
    """Headers of the response for `error`."""
    seconds = error.retry_after if isinstance(error, PunaError) else 0
    return {"retry-after": str(seconds)} if seconds else {}


async def on_error(request: Request, error: Exception) -> Response:
    """The response to a request that failed before its first byte."""
    return Response(line(error), status_of(error), headers(error), JSON)


async def on_unrouted(request: Request, error: Exception) -> Response:
    """The response to an unknown path or method."""
    assert isinstance(error, HTTPException)
    return PlainTextResponse(_GIN.get(error.status_code, error.detail), error.status_code, error.headers)


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The response to a client that disconnected while it was sending. Nobody reads it."""
    return Response(status_code=CLIENT_CLOSED)


def handlers(on_error: Any, on_unrouted: Any) -> dict[Any, Any]:
    """Starlette's handlers: `on_error` for errors, `on_unrouted` for unknown paths and methods."""
    return {
        PunaError: on_error,
        Exception: on_error,
        HTTPException: on_unrouted,
        ClientDisconnect: on_disconnect,
    }


HANDLERS = handlers(on_error, on_unrouted)
