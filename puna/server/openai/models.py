"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from asyncio import to_thread
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from puna.access import caller
from puna.library import Library, Model
from puna.server.errors import JSON
from puna.server.openai.responses import encode
from puna.server.rooms import rooms


class ModelCard(msgspec.Struct):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(msgspec.Struct):
    object: Literal["list"]
    data: list[ModelCard]


async def models(request: Request) -> Response:
    data = await to_thread(_listed, rooms(request).library)
    return Response(encode(ModelList("list", data)), media_type=JSON)


async def model(request: Request) -> Response:
    """One model, by the name in the path, which may hold slashes."""
    name = request.path_params["model"]
    caller().check_model(name)
    found = await to_thread(rooms(request).library.open, name)
    return Response(encode(_described(found, name)), media_type=JSON)


def _listed(library: Library) -> list[ModelCard]:
    return [_described(model, model.name.display()) for model in library.list() if caller().sees(model.name)]


def _described(model: Model, id: str) -> ModelCard:
    created = int(model.modified_at.timestamp())
    return ModelCard(id, "model", created, model.name.namespace)
