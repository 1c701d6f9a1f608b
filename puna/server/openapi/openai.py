"""OpenAI's operations, including the Responses API. OpenAI's own pages describe an answer's contents."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from puna.server.openai.embeddings import CreateEmbeddingRequest, EmbeddingList
from puna.server.openai.errors import ErrorResponse
from puna.server.openai.models import ModelCard, ModelList
from puna.server.openai.requests import ChatCompletionRequest, CompletionRequest
from puna.server.openai.responses import Usage
from puna.server.openai.transcriptions import DurationUsage, TokenUsage, TranscriptionRequest
from puna.server.openapi.operation import FORM, JSON, RUN, TEXT, Operation
from puna.server.responses.reply import ResponseUsage
from puna.server.responses.requests import InputTokensRequest, ResponsesRequest
from puna.server.responses.routes import Deleted, InputTokens

_TAG = "OpenAI"
_ID = (("id", "^[^/]+$"),)


class _Completion(msgspec.Struct, kw_only=True):
    """The fields that whole answers and chunks share."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[dict[str, Any]]


class CompletionResponse(_Completion, kw_only=True):
    """An answer of chat completions or completions; `object` says which."""

    usage: Usage


class CompletionChunk(_Completion, kw_only=True):
    """A part of an answer. The last event of a stream is [DONE]."""

    usage: Usage | None = None


class Transcript(msgspec.Struct):
    """The last three are only in verbose_json."""

    text: str
    usage: TokenUsage | DurationUsage
    task: Literal["transcribe"] | None = None
    language: str | None = None
    duration: float | None = None
    """Seconds."""


class TranscriptEvent(msgspec.Struct):
    """More of a transcript, or all of it."""

    type: Literal["transcript.text.delta", "transcript.text.done"]
    delta: str | None = None
    text: str | None = None
    usage: TokenUsage | None = None


class Response(msgspec.Struct, kw_only=True):
    """A whole answer of /v1/responses; `output` is its items. `created_at` is in seconds since 1970."""

    id: str
    object: Literal["response"]
    created_at: int
    status: str
    model: str
    output: list[dict[str, Any]]
    error: dict[str, Any] | None = None
    usage: ResponseUsage | None = None


class ResponseEvent(msgspec.Struct):
    """An event of a stream, by number from 0. Its other fields depend on its type."""

    type: str
    sequence_number: int


def _operation(
    method: str, path: str, summary: str, body: Any = None, answer: Any = None, event: Any = None, **more: Any
) -> Operation:
    fields: dict[str, Any] = {"body": body, "answer": answer, "event": event, "error": ErrorResponse, **more}
    return Operation(method=method, path=path, tag=_TAG, summary=summary, **fields)


def _run(path: str, summary: str, *structs: Any, needs: tuple[str, ...], **more: Any) -> Operation:
    """A request that needs a model in memory; `structs` are body, answer and event."""
    return _operation("POST", path, summary, *structs, needs=("model", *needs), refusals=RUN, **more)


_TEXT_COMPLETION = (CompletionResponse, CompletionChunk)
_RESPONSE = "/v1/responses/{id}"
_MODEL = (("model", r"^[^\x00-\x1f]+$"),)

OPERATIONS = [
    _run(
        "/v1/chat/completions",
        "The next message of a conversation",
        ChatCompletionRequest,
        *_TEXT_COMPLETION,
        needs=("messages",),
    ),
    _run(
        "/v1/completions",
        "The answer to one prompt, or to several",
        CompletionRequest,
        *_TEXT_COMPLETION,
        needs=("prompt",),
    ),
    _run("/v1/embeddings", "Vectors for texts", CreateEmbeddingRequest, EmbeddingList, needs=("input",)),
    _run(
        "/v1/audio/transcriptions",
        "The words that are spoken in a sound",
        TranscriptionRequest,
        Transcript | str,
        TranscriptEvent,
        needs=("file",),
        body_media=FORM,
        media=(JSON, TEXT),
    ),
    _operation("GET", "/v1/models", "The models in the store", answer=ModelList, refusals=(500,)),
    _operation(
        "GET",
        "/v1/models/{model}",
        "A model in the store",
        answer=ModelCard,
        parameters=_MODEL,
        refusals=(400, 404, 500),
    ),
    _run(
        "/v1/responses",
        "The next message of a conversation, which may be kept",
        ResponsesRequest,
        Response,
        ResponseEvent,
        needs=("input",),
    ),
    _run(
        "/v1/responses/input_tokens",
        "How long a prompt is",
        InputTokensRequest,
        InputTokens,
        needs=("input",),
    ),
    _operation(
        "GET", _RESPONSE, "An answer that was kept", answer=Response, parameters=_ID, refusals=(400, 404)
    ),
    _operation(
        "DELETE", _RESPONSE, "Keep an answer no longer", answer=Deleted, parameters=_ID, refusals=(404,)
    ),
]
