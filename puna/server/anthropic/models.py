"""GET /v1/models and /v1/models/{id} for Anthropic's clients; OpenAI's have the same paths."""

from __future__ import annotations

from asyncio import to_thread
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from puna.library import Model
from puna.server.json_response import json_response
from puna.server.services import services_of


class AnthropicRoute(Route):
    """A route for requests with the header `anthropic-version`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if any(name == b"anthropic-version" for name, _ in scope.get("headers", ())):
            return super().matches(scope)
        return Match.NONE, {}


async def models(request: Request) -> Response:
    """All models that the caller may use, on one page, whatever `limit` is (Anthropic, List Models)."""
    data = [_entry(model, model.name.display()) for model in await to_thread(services_of(request).models)]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    page = {"data": data, "has_more": False, "first_id": None, "last_id": None, **ends}
    return json_response(page)


async def model(request: Request) -> Response:
    """One model, by the name in the path, which may contain slashes."""
    name = request.path_params["model"]
    found = await to_thread(services_of(request).open, name)
    return json_response(_entry(found, name))


def _entry(model: Model, id: str) -> dict[str, Any]:
    created = model.modified_at.isoformat()
    return {"type": "model", "id": id, "display_name": id, "created_at": created, "lifecycle": "active"}
