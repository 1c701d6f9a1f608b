"""Responses of long work: its progress as a stream, or only the last step."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request

from puna.server.framing import ObjectStream, WholeResponse, framing
from puna.server.json_response import encode
from puna.types import Progress


def respond_with_progress(
    request: Request, progress: AsyncGenerator[Progress, None], *, stream: bool
) -> ObjectStream | WholeResponse:
    """`progress` as the response; closed when the client disconnects."""
    return ObjectStream(_each(progress), framing(request)) if stream else WholeResponse(_last(progress))


async def _each(progress: AsyncGenerator[Progress, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(progress):
        async for step in progress:
            yield encode(step)


async def _last(progress: AsyncGenerator[Progress, None]) -> bytes:
    last = Progress(status="success")
    async with aclosing(progress):
        async for step in progress:
            last = step
    return encode(last)
