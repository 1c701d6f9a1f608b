"""GET /openapi.json and /docs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from puna.server.json_response import JSON
from puna.server.openapi import anthropic, native, openai
from puna.server.openapi.describe import describe

OPERATIONS = [*native.OPERATIONS, *openai.OPERATIONS, *anthropic.OPERATIONS]


async def description(request: Request) -> Response:
    """The OpenAPI document. It is built once."""
    return Response(_description(), media_type=JSON)


async def page(request: Request) -> Response:
    """A page that shows /openapi.json, without external resources."""
    return HTMLResponse(_page())


@cache
def _description() -> bytes:
    return describe(OPERATIONS)


@cache
def _page() -> bytes:
    return Path(__file__).with_name("page.html").read_bytes()


routes = [Route("/openapi.json", description), Route("/docs", page)]
