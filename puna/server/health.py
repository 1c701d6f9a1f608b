"""GET /healthz and /readyz, for process managers and load balancers.

Neither touches a model or the disk.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from puna.server.errors import JSON
from puna.server.rooms import rooms


class Health(msgspec.Struct):
    """`status` is "stopping" while the last answers are finished and no new request is taken."""

    status: Literal["ok", "stopping"]


_OK = msgspec.json.encode(Health("ok"))
_STOPPING = msgspec.json.encode(Health("stopping"))


async def alive(request: Request) -> Response:
    """The server runs, even while it stops."""
    return Response(_OK, media_type=JSON)


async def ready(request: Request) -> Response:
    """The server takes requests; 503 once it is told to stop."""
    if rooms(request).stopping:
        return Response(_STOPPING, 503, media_type=JSON)
    return Response(_OK, media_type=JSON)


routes = [Route("/healthz", alive), Route("/readyz", ready)]
