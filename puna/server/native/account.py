"""Accounts, cloud and web: the answers of Ollama without a signed-in user (Ollama server/routes.go).

Puna has no cloud and no accounts. Web search uses the user's own search engine.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from puna.errors import BadRequest
from puna.server.body import decode_body
from puna.server.errors import Error
from puna.server.json_response import json_response
from puna.server.native.requests import WebFetchRequest, WebSearchRequest
from puna.server.native.responses import Cloud, CloudStatus, Recommendations, WebSearchResponse
from puna.server.services import services_of

_MOST_RESULTS = 10
_RESULTS = 5


async def me(request: Request) -> Response:
    """No user is signed in."""
    return json_response(Error("unauthorized"), 401)


async def sign_out(request: Request) -> Response:
    """401, for POST /api/signout and DELETE /api/user/keys/{key}: nobody is signed in."""
    return json_response(Error("you are not currently signed in"), 401)


async def status(request: Request) -> Response:
    """GET /api/status: there is no cloud. `disabled` only says whether the user switched it off."""
    disabled = services_of(request).no_cloud
    cloud = Cloud(disabled=disabled, source="env" if disabled else "none")
    return json_response(CloudStatus(cloud))


async def recommendations(request: Request) -> Response:
    """An empty list: in Ollama these come from its cloud."""
    return json_response(Recommendations([]))


async def web_search(request: Request) -> Response:
    """At most 10 results, 5 by default. Raises BadRequest, NoSearchEngine, SearchFailed."""
    body = await decode_body(request, WebSearchRequest)
    if not body.query.strip():
        raise BadRequest("query is required", "query")
    count = min(max(body.max_results or _RESULTS, 1), _MOST_RESULTS)
    found = await services_of(request).web.search(body.query.strip(), count)
    return json_response(WebSearchResponse(found))


async def web_fetch(request: Request) -> Response:
    """A page's title, text and links. Raises BadRequest without a URL, or when it cannot be fetched."""
    body = await decode_body(request, WebFetchRequest)
    if not body.url.strip():
        raise BadRequest("url is required", "url")
    return json_response(await services_of(request).web.page(body.url.strip()))


routes = [
    Route("/api/me", me, methods=["POST"]),
    Route("/api/signout", sign_out, methods=["POST"]),
    Route("/api/user/keys/{key}", sign_out, methods=["DELETE"]),
    Route("/api/status", status),
    Route("/api/experimental/model-recommendations", recommendations),
    # Ollama's cloud has each without "experimental", so clients pointed here use both.
    *(
        Route(path, web_search, methods=["POST"])
        for path in ("/api/experimental/web_search", "/api/web_search")
    ),
    *(Route(path, web_fetch, methods=["POST"]) for path in ("/api/experimental/web_fetch", "/api/web_fetch")),
]
