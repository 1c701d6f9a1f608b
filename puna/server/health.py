"""GET /healthz, /readyz and /health, for process managers and load balancers.

They use neither models nor the disk. /health is /readyz as llama.cpp's server and vLLM call it, for proxies
that expect those.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from puna.server.json_response import json_response
from puna.server.services import services_of


class Health(msgspec.Struct):
    """`status` is "stopping" while running requests finish and new ones are refused."""

    status: Literal["ok", "stopping"]


async def alive(request: Request) -> Response:
    """200 while the server runs, even while it stops."""
    return json_response(Health("ok"))


async def ready(request: Request) -> Response:
    """200 while the server accepts requests; 503 while it stops."""
    if services_of(request).stopping:
        return json_response(Health("stopping"), 503)
    return json_response(Health("ok"))


routes = [Route("/healthz", alive), Route("/readyz", ready), Route("/health", ready)]
