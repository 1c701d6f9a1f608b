"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from asyncio import to_thread
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from puna.library import Model
from puna.server.json_response import json_response
from puna.server.services import services_of


class ModelCard(msgspec.Struct):
    """`created`: when the model was stored, in seconds since 1970. `owned_by`: the namespace of its name."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(msgspec.Struct):
    """The answer of /v1/models (OpenAI, List models)."""

    object: Literal["list"]
    data: list[ModelCard]


async def models(request: Request) -> Response:
    """The models that the caller may use, loaded or not."""
    data = [_card(model, model.name.display()) for model in await to_thread(services_of(request).models)]
    return json_response(ModelList("list", data))


async def model(request: Request) -> Response:
    """One model, by the name in the path, which may contain slashes."""
    name = request.path_params["model"]
    found = await to_thread(services_of(request).open, name)
    return json_response(_card(found, name))


def _card(model: Model, id: str) -> ModelCard:
    created = int(model.modified_at.timestamp())
    return ModelCard(id, "model", created, model.name.namespace)
