"""POST /api/pull."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request

from puna.server.body import decoded
from puna.server.framing import Stream, Whole, framing
from puna.server.native.requests import PullBody
from puna.server.native.responses import encode
from puna.server.rooms import rooms
from puna.types import Progress


async def pull(request: Request) -> Stream | Whole:
    body = await decoded(request, PullBody)
    progress = rooms(request).pulls.follow(body.named)
    if body.stream is False:
        return Whole(_last(progress))
    return Stream(_each(progress), framing(request))


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
