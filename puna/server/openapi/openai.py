"""OpenAI's operations, including the Responses API. OpenAI's own pages describe an answer's contents."""

from __future__ import annotations

from functools import partial

from puna.server.openai.embeddings import CreateEmbeddingRequest, EmbeddingList
from puna.server.openai.errors import ErrorResponse
from puna.server.openai.models import ModelCard, ModelList
from puna.server.openai.requests import ChatCompletionRequest, CompletionRequest
from puna.server.openai.responses import CompletionChunk, CompletionResponse
from puna.server.openai.transcriptions import Transcript, TranscriptEvent, TranscriptionRequest
from puna.server.openapi.operation import FORM, JSON, RUN, TEXT, Operation
from puna.server.responses.events import ResponseEvent
from puna.server.responses.reply import Response
from puna.server.responses.requests import InputTokensRequest, ResponsesRequest
from puna.server.responses.routes import Deleted, InputTokens

_operation = partial(Operation, tag="OpenAI", error=ErrorResponse)
_get = partial(_operation, method="GET")
_run = partial(_operation, method="POST", refusals=RUN)
"""A request that needs a model in memory."""

_ID = (("id", "^[^/]+$"),)
_RESPONSE = "/v1/responses/{id}"
_MODEL = (("model", r"^[^\x00-\x1f]+$"),)

OPERATIONS = [
    _run(
        "/v1/chat/completions",
        "The next message of a conversation",
        ChatCompletionRequest,
        CompletionResponse,
        CompletionChunk,
        needs=("model", "messages"),
    ),
    _run(
        "/v1/completions",
        "The answer to one prompt, or to several",
        CompletionRequest,
        CompletionResponse,
        CompletionChunk,
        needs=("model", "prompt"),
    ),
    _run(
        "/v1/embeddings", "Vectors for texts", CreateEmbeddingRequest, EmbeddingList, needs=("model", "input")
    ),
    _run(
        "/v1/audio/transcriptions",
        "The words that are spoken in a sound",
        TranscriptionRequest,
        Transcript | str,
        TranscriptEvent,
        needs=("model", "file"),
        body_media=FORM,
        media=(JSON, TEXT),
    ),
    _get("/v1/models", "The models in the store", answer=ModelList, refusals=(500,)),
    _get(
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
        needs=("model", "input"),
    ),
    _run(
        "/v1/responses/input_tokens",
        "How long a prompt is",
        InputTokensRequest,
        InputTokens,
        needs=("model", "input"),
    ),
    _get(_RESPONSE, "An answer that was kept", answer=Response, parameters=_ID, refusals=(400, 404)),
    _operation(
        _RESPONSE,
        "Keep an answer no longer",
        answer=Deleted,
        method="DELETE",
        parameters=_ID,
        refusals=(404,),
    ),
]
