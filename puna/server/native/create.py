"""POST /api/create."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from starlette.requests import Request

from puna.access import caller
from puna.chat import MEDIA_MARKER, go, names_by_architecture, recognize
from puna.engine import quantization, quantize
from puna.errors import BadRequest, NotFound, PunaError
from puna.library import Recipe
from puna.library import create as make
from puna.server.body import decode_body
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.native.messages import turns
from puna.server.native.requests import CreateRequest
from puna.server.native.steps import respond_with_progress
from puna.server.services import Services, services_of
from puna.server.working import FollowedWork
from puna.types import Message, Progress


async def create(request: Request) -> ObjectStream | WholeResponse:
    """Checks the request, then creates the model and reports progress (Ollama api.md, Create a Model)."""
    body = await decode_body(request, CreateRequest)
    services, name = services_of(request), body.model or body.name or ""
    services.library.resolve(name)
    for used in filter(None, (name, body.from_, body.draft)):
        caller().check_model(used)
    output = await turns(body.messages or (), services.remote.for_request())
    recipe = _recipe(body, [_for_manifest(message) for message in output])
    return respond_with_progress(
        request, _create_steps(services, name, recipe), stream=body.stream is not False
    )


def _recipe(body: CreateRequest, messages: list[Message]) -> Recipe:
    """The body as a recipe. Raises BadRequest."""
    if body.template:
        try:
            go(body.template)
        except BadRequest as error:
            raise BadRequest(f"template error: {error}") from None
    kind = body.quantize or body.quantization
    draft_kind = body.draft_quantize
    licenses = [body.license] if isinstance(body.license, str) else body.license or []
    return Recipe(
        base=body.from_ or "",
        files=body.files,
        adapters=body.adapters or {},
        draft=body.draft or "",
        draft_files=body.draft_files or {},
        draft_quantize=quantization(draft_kind) if draft_kind else "",
        template=body.template or "",
        system=body.system or "",
        licenses=[text for text in licenses if text],
        parameters=body.parameters or {},
        messages=messages,
        quantize=quantization(kind) if kind else "",
        renderer=body.renderer or "",
        parser=body.parser or "",
        names=names_by_architecture(),
        requires=body.requires or "",
        info=body.info or {},
    )


def _for_manifest(message: Message) -> Message:
    """A message with Ollama's image markers, for the model's manifest."""
    return msgspec.structs.replace(message, content=message.content.replace(MEDIA_MARKER, "[img]"))


async def _create_steps(services: Services, name: str, recipe: Recipe) -> AsyncGenerator[Progress, None]:
    """The progress of pulling a missing base and creating the model."""
    library = services.library
    if recipe.base:
        try:
            await to_thread(library.open, recipe.base)
        except NotFound:
            async with aclosing(_pull_steps(services, recipe.base)) as pull:
                async for step in pull:
                    yield step
    work = FollowedWork(
        f"create {name}", lambda report: make(library, name, recipe, report, quantize, recognize)
    )
    async with aclosing(work.follow()) as steps:
        async for step in steps:
            yield step


async def _pull_steps(services: Services, base: str) -> AsyncGenerator[Progress, None]:
    try:
        async with aclosing(services.pulls.follow(base)) as pull:
            async for step in pull:
                if step.status != "success":
                    yield step
    except PunaError as error:
        kind = NotFound if isinstance(error, NotFound) else PunaError
        raise kind(f"model '{base}' is not here, and cannot be pulled: {error}") from error
