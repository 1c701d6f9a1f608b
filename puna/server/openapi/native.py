"""The native API's operations, and those that no dialect has."""

from __future__ import annotations

from typing import Any

import msgspec

from puna.server.native.requests import (
    ChatBody,
    CopyBody,
    CreateBody,
    DeleteBody,
    EmbedBody,
    EmbeddingsBody,
    GenerateBody,
    ShowBody,
    TransferBody,
)
from puna.server.native.rerank import RerankAnswer, RerankBody
from puna.server.native.responses import ChatAnswer, EmbedAnswer, GenerateAnswer, ModelListed, ModelLoaded
from puna.server.native.tokens import DetokenizeAnswer, DetokenizeBody, TokenizeAnswer, TokenizeBody
from puna.server.openapi.operation import EVENTS, JSON, NDJSON, RUN, STORED, TEXT, Operation
from puna.types import Progress

_RUN, _STORE, _SERVER = "Run models", "Models", "Server"
_STREAMED = (NDJSON, EVENTS, JSON)
_DIGEST = (("digest", "^sha256:[0-9a-f]{64}$"),)


class Version(msgspec.Struct):
    version: str
    puna: str


class Tags(msgspec.Struct):
    models: list[ModelListed]


class Running(msgspec.Struct):
    models: list[ModelLoaded]


class Vector(msgspec.Struct):
    embedding: list[float]


class Shown(msgspec.Struct, kw_only=True):
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


def _post(path: str, tag: str, summary: str, **said: Any) -> Operation:
    return Operation(method="POST", path=path, tag=tag, summary=summary, **said)


def _get(path: str, tag: str, summary: str, **said: Any) -> Operation:
    return Operation(method="GET", path=path, tag=tag, summary=summary, **said)


OPERATIONS = [
    _post(
        "/api/chat",
        _RUN,
        "The next message of a conversation",
        body=ChatBody,
        needs=("model",),
        answer=ChatAnswer,
        media=_STREAMED,
        refusals=RUN,
    ),
    _post(
        "/api/generate",
        _RUN,
        "The answer to one prompt",
        body=GenerateBody,
        needs=("model",),
        answer=GenerateAnswer,
        media=_STREAMED,
        refusals=RUN,
    ),
    _post(
        "/api/embed",
        _RUN,
        "Vectors for texts",
        body=EmbedBody,
        needs=("model",),
        answer=EmbedAnswer,
        refusals=RUN,
    ),
    _post(
        "/api/embeddings",
        _RUN,
        "A vector for one text; the older form",
        body=EmbeddingsBody,
        needs=("model",),
        answer=Vector,
        refusals=RUN,
    ),
    *(
        _post(
            path,
            _RUN,
            "How well documents answer a query",
            body=RerankBody,
            needs=("model", "query", "documents"),
            answer=RerankAnswer,
            refusals=RUN,
        )
        for path in ("/v1/rerank", "/api/rerank")
    ),
    _post(
        "/api/tokenize",
        _RUN,
        "A text as a model's token ids",
        body=TokenizeBody,
        needs=("model",),
        takes=("text",),
        answer=TokenizeAnswer,
        refusals=RUN,
    ),
    _post(
        "/api/detokenize",
        _RUN,
        "The text of token ids",
        body=DetokenizeBody,
        needs=("model",),
        takes=("tokens",),
        answer=DetokenizeAnswer,
        refusals=RUN,
    ),
    _get("/api/tags", _STORE, "The models in the store", answer=Tags, refusals=(500,)),
    _get("/api/ps", _STORE, "The models in memory", answer=Running, refusals=(500,)),
    _post(
        "/api/show",
        _STORE,
        "What a model is",
        body=ShowBody,
        needs=("model",),
        answer=Shown,
        refusals=STORED,
    ),
    _post(
        "/api/pull",
        _STORE,
        "Fetch a model from a registry",
        body=TransferBody,
        needs=("model",),
        answer=Progress,
        media=_STREAMED,
        refusals=STORED,
    ),
    _post(
        "/api/push",
        _STORE,
        "Bring a model to a registry",
        body=TransferBody,
        needs=("model",),
        answer=Progress,
        media=_STREAMED,
        refusals=STORED,
    ),
    _post(
        "/api/create",
        _STORE,
        "Make a model",
        body=CreateBody,
        needs=("model",),
        answer=Progress,
        media=_STREAMED,
        refusals=STORED,
    ),
    Operation(
        method="HEAD",
        path="/api/blobs/{digest}",
        tag=_STORE,
        summary="Whether a file is there (200) or not (404)",
        parameters=_DIGEST,
        refusals=(400, 404, 500),
        error=None,
    ),
    _post(
        "/api/blobs/{digest}",
        _STORE,
        "Store a file by its digest",
        body_media="application/octet-stream",
        parameters=_DIGEST,
        created=True,
        refusals=(400, 409, 500),
    ),
    _post(
        "/api/copy",
        _STORE,
        "Give a model a second name",
        body=CopyBody,
        needs=("source", "destination"),
        refusals=STORED,
    ),
    Operation(
        method="DELETE",
        path="/api/delete",
        tag=_STORE,
        summary="Remove a model",
        body=DeleteBody,
        needs=("model",),
        refusals=STORED,
    ),
    _get("/", _SERVER, "Whether the server runs", answer=str, media=(TEXT,)),
    _get("/api/version", _SERVER, "Which versions the server has", answer=Version),
    _get("/metrics", _SERVER, "What the server does, for Prometheus", answer=str, media=(TEXT,)),
    _get("/openapi.json", _SERVER, "This description", answer=dict[str, Any]),
    _get("/docs", _SERVER, "This description as a page", answer=str, media=("text/html",)),
]
