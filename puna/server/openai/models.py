"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from asyncio import to_thread
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from puna.library import Model
from puna.server.errors import JSON
from puna.server.openai.responses import encode
from puna.server.rooms import rooms


class ModelCard(msgspec.Struct):
    """`created` is when it was stored, in seconds since 1970; `owned_by` is its name's namespace."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(msgspec.Struct):
    """The answer of /v1/models (OpenAI, List models)."""

    object: Literal["list"]
    data: list[ModelCard]


async def models(request: Request) -> Response:
    """The models that the caller may use. Those that nobody has loaded are listed too."""
    data = [_described(model, model.name.display()) for model in await to_thread(rooms(request).models)]
    return Response(encode(ModelList("list", data)), media_type=JSON)


async def model(request: Request) -> Response:
    """One model, by the name in the path, which may hold slashes."""
    name = request.path_params["model"]
    found = await to_thread(rooms(request).open, name)
    return Response(encode(_described(found, name)), media_type=JSON)


def _described(model: Model, id: str) -> ModelCard:
    created = int(model.modified_at.timestamp())
    return ModelCard(id, "model", created, model.name.namespace)
