"""/api/tags, ps, devices, show, copy and delete."""

from __future__ import annotations

from asyncio import to_thread

from starlette.requests import Request
from starlette.responses import Response

from puna.access import caller
from puna.engine import find_devices
from puna.errors import LoadFailed, NotFound
from puna.inference import capabilities
from puna.library import Model, Name, ShowResponse
from puna.library import show as described
from puna.server.body import decode_body
from puna.server.json_response import json_response
from puna.server.native.requests import CopyRequest, DeleteRequest, ShowRequest
from puna.server.native.responses import (
    ListModelResponse,
    ListResponse,
    ProcessModelResponse,
    ProcessResponse,
)
from puna.server.services import Services, services_of

_COPILOT = "GitHubCopilotChat/"
"""User-Agent prefix of an editor that displays `general.basename` as the model's name."""


async def tags(request: Request) -> Response:
    """The models in the store that the caller may see (Ollama api.md, List Local Models)."""
    models = await to_thread(_list_models, services_of(request))
    return json_response(ListResponse(models))


async def ps(request: Request) -> Response:
    """The models in memory that the caller may see; sizes in bytes (Ollama api.md, List Running Models)."""
    loaded = services_of(request).scheduler.loaded_models()
    models = [
        ProcessModelResponse(
            name=entry.model.name.display(),
            model=entry.model.name.display(),
            size=entry.size,
            digest=entry.model.digest,
            details=entry.model.details(),
            expires_at=entry.expires_at.isoformat(),
            size_vram=entry.size_vram,
            context_length=entry.context_length,
            replicas=entry.replicas,
        )
        for entry in loaded
        if caller().sees(entry.model.name)
    ]
    return json_response(ProcessResponse(models))


async def devices(request: Request) -> Response:
    """The GPUs and their free memory now."""
    return json_response(await find_devices())


async def show(request: Request) -> Response:
    """Modelfile, details, metadata and capabilities (Ollama api.md, Show Model Information).

    GitHub Copilot gets the requested name as `general.basename`.
    """
    body = await decode_body(request, ShowRequest)
    library, named = services_of(request).library, body.model_name
    caller().check_model(named)

    def read() -> ShowResponse:
        try:
            model = library.open(named)
        except NotFound:
            raise NotFound(f"model '{Name.parse(named).display()}' not found") from None
        return described(
            model,
            capabilities(model),
            verbose=body.verbose is True,
            system=body.system or "",
            template=body.template or "",
            parameters=body.options or {},
        )

    shown = await to_thread(read)
    if request.headers.get("user-agent", "").startswith(_COPILOT):
        shown.model_info["general.basename"] = named
    return json_response(shown)


async def copy(request: Request) -> Response:
    """Gives a model a second name; no file is copied. The key must allow both names."""
    body = await decode_body(request, CopyRequest)
    caller().check_model(body.source)
    caller().check_model(body.destination)
    await to_thread(services_of(request).library.copy, body.source, body.destination)
    return Response()


async def delete(request: Request) -> Response:
    """Removes a name, and the blobs that no other model uses."""
    body = await decode_body(request, DeleteRequest)
    caller().check_model(body.model_name)
    await to_thread(services_of(request).library.delete, body.model_name)
    return Response()


def _list_models(services: Services) -> list[ListModelResponse]:
    return [
        ListModelResponse(
            name=model.name.display(),
            model=model.name.display(),
            modified_at=model.modified_at.isoformat(),
            size=model.size,
            digest=model.digest,
            details=model.details() | found,
            capabilities=capable,
        )
        for model in services.models()
        for capable, found in [_read(model)]
    ]


def _read(model: Model) -> tuple[list[str], dict[str, int]]:
    """A model's capabilities, and the lengths that only lists show; nothing for a damaged model.

    Damaged models are listed, too, because loading reports the damage.
    """
    try:
        return capabilities(model), model.lengths
    except LoadFailed:
        return [], {}
