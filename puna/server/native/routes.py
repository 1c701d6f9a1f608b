"""The paths of the native API and their functions. GET routes answer HEAD, too."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from puna import __version__
from puna.server.json_response import json_response
from puna.server.native import account, keys, rerank, tokens
from puna.server.native.blobs import blob
from puna.server.native.chat import chat
from puna.server.native.create import create
from puna.server.native.embed import embed, embeddings
from puna.server.native.generate import generate
from puna.server.native.models import copy, delete, devices, ps, show, tags
from puna.server.native.responses import VersionResponse
from puna.server.native.transfer import pull, push
from puna.server.page import prefers_page
from puna.settings import OLLAMA_LEVEL


async def root(request: Request) -> Response:
    """Tells programs that the server runs, and redirects browsers to the page."""
    if prefers_page(request.headers.get("accept", "")):
        return RedirectResponse("/ui", 302, headers={"vary": "Accept"})
    return PlainTextResponse("Ollama is running", headers={"vary": "Accept"})


async def version(request: Request) -> Response:
    """The version of Ollama's API, which clients compare, and Puna's."""
    return json_response(VersionResponse(OLLAMA_LEVEL, __version__))


routes = [
    *tokens.routes,
    *rerank.routes,
    *account.routes,
    *keys.routes,
    Route("/", root),
    Route("/api/version", version),
    Route("/api/tags", tags),
    Route("/api/ps", ps),
    Route("/api/devices", devices),
    Route("/api/show", show, methods=["POST"]),
    Route("/api/generate", generate, methods=["POST"]),
    Route("/api/chat", chat, methods=["POST"]),
    Route("/api/embed", embed, methods=["POST"]),
    Route("/api/embeddings", embeddings, methods=["POST"]),
    Route("/api/pull", pull, methods=["POST"]),
    Route("/api/push", push, methods=["POST"]),
    Route("/api/create", create, methods=["POST"]),
    Route("/api/blobs/{digest}", blob, methods=["HEAD", "POST"]),
    Route("/api/delete", delete, methods=["DELETE"]),
    Route("/api/copy", copy, methods=["POST"]),
]
