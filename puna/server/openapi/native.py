"""The operations of the native API, and those outside all dialects."""

from __future__ import annotations

from functools import partial
from typing import Any

from puna.library import ShowResponse
from puna.load import Devices
from puna.server.health import Health
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
from puna.server.web import WebFetchResponse
from puna.types import Progress

_RUN, _STORE, _KEYS, _SERVER = "Run models", "Models", "Keys", "Server"
_STREAMED = (NDJSON, EVENTS, JSON)
_DIGEST = (("digest", "^sha256:[0-9a-f]{64}$"),)

_server = partial(Operation, tag=_SERVER)
_post = partial(_server, method="POST")
_get = partial(_server, method="GET")
_run = partial(_post, tag=_RUN, needs=("model",), refusals=RUN)
"""A request that needs a model in memory."""
_store = partial(_post, tag=_STORE, needs=("model",), refusals=STORED)
"""A request about models at rest."""

_WORK: dict[str, Any] = {"answer": Progress, "media": _STREAMED}
"""The answer of long work: its progress."""

_SEARCH = ("Search the web", WebSearchRequest, WebSearchResponse)
_FETCH = ("A page as text", WebFetchRequest, WebFetchResponse)

OPERATIONS = [
    _post("/api/me", "Whom it is signed in as", refusals=(401,)),
    _post("/api/signout", "Sign out", refusals=(401,)),
    _server(
        "/api/user/keys/{key}",
        "Sign out",
        method="DELETE",
        refusals=(401,),
        parameters=(("key", "^[A-Za-z0-9_-]+$"),),
    ),
    _get("/api/status", "Whether there is a cloud", answer=CloudStatus),
    _get("/api/experimental/model-recommendations", "Models to try", answer=Recommendations),
    *(
        _post(f"/api/{place}{name}", *about, needs=needs, refusals=refusals)
        for name, about, needs, refusals in (
            ("web_search", _SEARCH, ("query",), (400, 413, 415, 501, 502)),
            ("web_fetch", _FETCH, ("url",), (400, 413, 415)),
        )
        for place in ("experimental/", "")
    ),
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
    _get("/api/tags", "The models in the store", answer=ListResponse, tag=_STORE, refusals=(500,)),
    _get("/api/ps", "The models in memory", answer=ProcessResponse, tag=_STORE, refusals=(500,)),
    _get("/api/devices", "The GPUs, and what is free on them", answer=Devices, tag=_STORE),
    _store("/api/show", "What a model is", ShowRequest, answer=ShowResponse),
    _store("/api/pull", "Fetch a model from a registry", TransferRequest, **_WORK),
    _store("/api/push", "Bring a model to a registry", TransferRequest, **_WORK),
    _store("/api/create", "Make a model", CreateRequest, **_WORK),
    _server(
        "/api/blobs/{digest}",
        "Whether a file is there (200) or not (404)",
        method="HEAD",
        tag=_STORE,
        parameters=_DIGEST,
        refusals=(400, 404, 500),
        error=None,
    ),
    _post(
        "/api/blobs/{digest}",
        "Store a file by its digest",
        tag=_STORE,
        body_media="application/octet-stream",
        parameters=_DIGEST,
        created=True,
        refusals=(400, 409, 500),
    ),
    _store("/api/copy", "Give a model a second name", CopyRequest, needs=("source", "destination")),
    _store("/api/delete", "Remove a model", DeleteRequest, method="DELETE"),
    _get("/api/keys", "Who may use the server", answer=KeysListed, tag=_KEYS),
    _post(
        "/api/keys",
        "Make a key; its secret is told this once",
        KeyRequest,
        KeyMade,
        tag=_KEYS,
        refusals=(400, 413, 415, 500),
    ),
    _server(
        "/api/keys/{key}",
        "Revoke the key with this name or id",
        method="DELETE",
        tag=_KEYS,
        parameters=(("key", "^[^/]+$"),),
        refusals=(404, 500),
    ),
    _get("/", "Whether the server runs", answer=str, media=(TEXT,)),
    _get("/api/version", "Which versions the server has", answer=VersionResponse),
    _get("/healthz", "That the server runs", answer=Health),
    _get("/readyz", "Whether the server takes requests", answer=Health, error=Health, refusals=(503,)),
    _get("/health", "The same as /readyz", answer=Health, error=Health, refusals=(503,)),
    _get("/metrics", "What the server does, for Prometheus", answer=str, media=(TEXT,)),
    _get("/openapi.json", "This description", answer=dict[str, Any]),
    _get("/docs", "This description as a page", answer=str, media=("text/html",)),
    _get("/ui", "The page for a person", answer=str, media=("text/html",)),
]
