"""POST /api/pull and /api/push."""

from __future__ import annotations

from starlette.requests import Request

from puna.access import caller
from puna.server.body import decoded
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.native.requests import TransferRequest
from puna.server.native.steps import reported
from puna.server.rooms import rooms


async def pull(request: Request) -> ObjectStream | WholeResponse:
    """The progress of a download. Requests for the same model share one."""
    body = await _allowed(request)
    progress = rooms(request).pulls.follow(body.named, insecure=body.insecure is True)
    return reported(request, progress, stream=body.stream is not False)


async def push(request: Request) -> ObjectStream | WholeResponse:
    """The progress of an upload to the registry that the name has."""
    body = await _allowed(request)
    progress = rooms(request).pulls.push(body.named, insecure=body.insecure is True)
    return reported(request, progress, stream=body.stream is not False)


async def _allowed(request: Request) -> TransferRequest:
    body = await decoded(request, TransferRequest)
    caller().check_model(body.named)
    return body
