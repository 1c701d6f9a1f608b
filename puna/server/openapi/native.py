"""The native API's operations, and those that no dialect has."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from puna.load import Devices
from puna.server.native.keys import KeyMade, KeyRequest, KeysListed
from puna.server.native.requests import (
    ChatRequest,
    CopyRequest,
    CreateRequest,
    DeleteRequest,
    EmbeddingRequest,
    EmbedRequest,
    GenerateRequest,
    ShowRequest,
    TransferRequest,
    WebFetchRequest,
    WebSearchRequest,
)
from puna.server.native.rerank import PATHS, RerankRequest, RerankResponse
from puna.server.native.responses import (
    ChatResponse,
    CloudStatus,
    EmbeddingResponse,
    EmbedResponse,
    GenerateResponse,
    ListResponse,
    ProcessResponse,
    Recommendations,
    VersionResponse,
    WebSearchResponse,
)
from puna.server.native.tokens import DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse
from puna.server.openapi.operation import EVENTS, JSON, NDJSON, RUN, STORED, TEXT, Operation
from puna.types import Progress

_RUN, _STORE, _KEYS, _SERVER = "Run models", "Models", "Keys", "Server"
_STREAMED = (NDJSON, EVENTS, JSON)
_DIGEST = (("digest", "^sha256:[0-9a-f]{64}$"),)


class Health(msgspec.Struct):
    """`status` is "stopping" while the last answers are finished and no new request is taken."""

    status: Literal["ok", "stopping"]


class WebFetchResponse(msgspec.Struct):
    """The answer of /api/web_fetch. `content` is the page's text, `links` are absolute."""

    title: str
    content: str
    links: list[str]


class ShowResponse(msgspec.Struct, kw_only=True):
    """What is empty is left out."""

    modelfile: str
    template: str
    details: dict[str, Any]
    model_info: dict[str, Any]
    modified_at: str
    capabilities: list[str]
    license: str = ""
    parameters: str = ""
    system: str = ""
    messages: list[dict[str, Any]] = []
    projector_info: dict[str, Any] = {}
    tensors: list[dict[str, Any]] = []
    requires: str = ""


def _run(path: str, summary: str, body: Any, answer: Any, **more: Any) -> Operation:
    """A request that needs a model in memory."""
    more = {"needs": ("model",)} | more
    return Operation(
        method="POST", path=path, tag=_RUN, summary=summary, body=body, answer=answer, refusals=RUN, **more
    )


def _store(path: str, summary: str, body: Any = None, **more: Any) -> Operation:
    """A request about models at rest."""
    more = {"method": "POST", "needs": ("model",) if body else (), "refusals": STORED} | more
    return Operation(path=path, tag=_STORE, summary=summary, body=body, **more)


def _get(path: str, tag: str, summary: str, answer: Any, **more: Any) -> Operation:
    return Operation(method="GET", path=path, tag=tag, summary=summary, answer=answer, **more)


_WORK: dict[str, Any] = {"answer": Progress, "media": _STREAMED}
"""Answered with its progress."""

_SEARCH: dict[str, Any] = {
    "body": WebSearchRequest,
    "answer": WebSearchResponse,
    "refusals": (400, 413, 501, 502),
}
_FETCH: dict[str, Any] = {"body": WebFetchRequest, "answer": WebFetchResponse, "refusals": (400, 413)}

_ACCOUNT = [
    Operation(method="POST", path="/api/me", tag=_SERVER, summary="Whom it is signed in as", refusals=(401,)),
    Operation(method="POST", path="/api/signout", tag=_SERVER, summary="Sign out", refusals=(401,)),
    Operation(
        method="DELETE",
        path="/api/user/keys/{key}",
        tag=_SERVER,
        summary="Sign out",
        refusals=(401,),
        parameters=(("key", "^[A-Za-z0-9_-]+$"),),
    ),
    _get("/api/status", _SERVER, "Whether there is a cloud", CloudStatus),
    _get("/api/experimental/model-recommendations", _SERVER, "Models to try", Recommendations),
    *(
        Operation(
            method="POST", path=f"/api/{place}{name}", tag=_SERVER, summary=summary, needs=needs, **more
        )
        for name, summary, needs, more in (
            ("web_search", "Search the web", ("query",), _SEARCH),
            ("web_fetch", "A page as text", ("url",), _FETCH),
        )
        for place in ("experimental/", "")
    ),
]

OPERATIONS = [
    *_ACCOUNT,
    _run("/api/chat", "The next message of a conversation", ChatRequest, ChatResponse, media=_STREAMED),
    _run("/api/generate", "The answer to one prompt", GenerateRequest, GenerateResponse, media=_STREAMED),
    _run("/api/embed", "Vectors for texts", EmbedRequest, EmbedResponse),
    _run("/api/embeddings", "A vector for one text; the older form", EmbeddingRequest, EmbeddingResponse),
    *(
        _run(
            path,
            "How well documents answer a query",
            RerankRequest,
            RerankResponse,
            needs=("model", "query", "documents"),
        )
        for path in PATHS
    ),
    _run(
        "/api/tokenize", "A text as a model's token ids", TokenizeRequest, TokenizeResponse, takes=("text",)
    ),
    _run(
        "/api/detokenize", "The text of token ids", DetokenizeRequest, DetokenizeResponse, takes=("tokens",)
    ),
    _get("/api/tags", _STORE, "The models in the store", ListResponse, refusals=(500,)),
    _get("/api/ps", _STORE, "The models in memory", ProcessResponse, refusals=(500,)),
    _get("/api/devices", _STORE, "The GPUs, and what is free on them", Devices),
    _store("/api/show", "What a model is", ShowRequest, answer=ShowResponse),
    _store("/api/pull", "Fetch a model from a registry", TransferRequest, **_WORK),
    _store("/api/push", "Bring a model to a registry", TransferRequest, **_WORK),
    _store("/api/create", "Make a model", CreateRequest, **_WORK),
    _store(
        "/api/blobs/{digest}",
        "Whether a file is there (200) or not (404)",
        method="HEAD",
        parameters=_DIGEST,
        refusals=(400, 404, 500),
        error=None,
    ),
    _store(
        "/api/blobs/{digest}",
        "Store a file by its digest",
        body_media="application/octet-stream",
        parameters=_DIGEST,
        created=True,
        refusals=(400, 409, 500),
    ),
    _store("/api/copy", "Give a model a second name", CopyRequest, needs=("source", "destination")),
    _store("/api/delete", "Remove a model", DeleteRequest, method="DELETE"),
    _get("/api/keys", _KEYS, "Who may use the server", KeysListed),
    Operation(
        method="POST",
        path="/api/keys",
        tag=_KEYS,
        summary="Make a key; its secret is told this once",
        body=KeyRequest,
        answer=KeyMade,
        refusals=(400, 413, 500),
    ),
    Operation(
        method="DELETE",
        path="/api/keys/{key}",
        tag=_KEYS,
        summary="Revoke the key with this name or id",
        parameters=(("key", "^[^/]+$"),),
        refusals=(404, 500),
    ),
    _get("/", _SERVER, "Whether the server runs", str, media=(TEXT,)),
    _get("/api/version", _SERVER, "Which versions the server has", VersionResponse),
    _get("/healthz", _SERVER, "That the server runs", Health),
    _get("/readyz", _SERVER, "Whether the server takes requests", Health, refusals=(503,)),
    _get("/metrics", _SERVER, "What the server does, for Prometheus", str, media=(TEXT,)),
    _get("/openapi.json", _SERVER, "This description", dict[str, Any]),
    _get("/docs", _SERVER, "This description as a page", str, media=("text/html",)),
    _get("/ui", _SERVER, "The page for a person", str, media=("text/html",)),
]
