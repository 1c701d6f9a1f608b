"""POST /api/create."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request

from puna.chat import go
from puna.engine import quantization, quantize
from puna.library import Recipe
from puna.library import create as make
from puna.server.body import decoded
from puna.server.framing import Stream, Whole, framing
from puna.server.native.messages import turns
from puna.server.native.requests import CreateBody
from puna.server.native.responses import encode
from puna.server.rooms import Rooms, rooms
from puna.server.working import working
from puna.types import BadRequest, Message, NotFound, Progress


async def create(request: Request) -> Stream | Whole:
    body = await decoded(request, CreateBody)
    if body.draft_files:
        raise BadRequest("draft models are not supported")
    opened, name = rooms(request), body.model or body.name or ""
    opened.library.resolve(name)
    recipe = _recipe(body, await turns(body.messages or (), opened.remote.visit()))
    progress = _making(opened, name, recipe)
    if body.stream is False:
        return Whole(_last(progress))
    return Stream(_each(progress), framing(request))


def _recipe(body: CreateBody, messages: list[Message]) -> Recipe:
    """What the body asks for. Raises BadRequest."""
    if body.template:
        try:
            go(body.template)
        except BadRequest as error:
            raise BadRequest(f"template error: {error}") from None
    kind = body.quantize or body.quantization
    licenses = [body.license] if isinstance(body.license, str) else body.license or []
    return Recipe(
        base=body.from_ or "",
        files=body.files,
        adapters=body.adapters or {},
        template=body.template or "",
        system=body.system or "",
        licenses=[text for text in licenses if text],
        parameters=body.parameters or {},
        messages=messages,
        quantize=quantization(kind) if kind else "",
        renderer=body.renderer or "",
        parser=body.parser or "",
        requires=body.requires or "",
        info=body.info or {},
    )


async def _making(opened: Rooms, name: str, recipe: Recipe) -> AsyncGenerator[Progress, None]:
    """The progress of making a model, and before it of pulling the one it is made from if it is not here."""
    library = opened.library
    if recipe.base:
        try:
            await to_thread(library.open, recipe.base)
        except NotFound:
            async with aclosing(opened.pulls.follow(recipe.base)) as pull:
                async for step in pull:
                    if step.status != "success":
                        yield step
    work = working(f"create {name}", lambda report: make(library, name, recipe, report, quantize))
    async with aclosing(work):
        async for step in work:
            yield step


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
