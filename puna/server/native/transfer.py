"""POST /api/pull and /api/push."""

from __future__ import annotations

from starlette.requests import Request

from puna.access import caller
from puna.server.body import decode_body
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.native.requests import TransferRequest
from puna.server.native.steps import respond_with_progress
from puna.server.services import services_of


async def pull(request: Request) -> ObjectStream | WholeResponse:
    """The progress of a pull. Concurrent requests for the same model share it."""
    body = await _read_body(request)
    progress = services_of(request).pulls.follow(body.model_name, insecure=body.insecure is True)
    return respond_with_progress(request, progress, stream=body.stream is not False)


async def push(request: Request) -> ObjectStream | WholeResponse:
    """The progress of a push to the registry in the model's name."""
    body = await _read_body(request)
    progress = services_of(request).pulls.push(body.model_name, insecure=body.insecure is True)
    return respond_with_progress(request, progress, stream=body.stream is not False)


async def _read_body(request: Request) -> TransferRequest:
    body = await decode_body(request, TransferRequest)
    caller().check_model(body.model_name)
    return body
