"""The tables of docs/openai.md say what the code does, and name every field the official client knows."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
from openai.types import completion_create_params, embedding_create_params
from openai.types.audio import transcription_create_params
from openai.types.chat import completion_create_params as chat_create_params

from puna.server.openai.embeddings import CreateEmbeddingRequest
from puna.server.openai.requests import ChatCompletionRequest, CompletionRequest
from puna.server.openai.transcriptions import TranscriptionRequest
from tests.hearing_models import tone, wav
from tests.server import documented

table, named = partial(documented.table, "openai"), partial(documented.named, "openai")

BODIES: dict[
    str, type[ChatCompletionRequest | CompletionRequest | CreateEmbeddingRequest | TranscriptionRequest]
] = {
    "/v1/chat/completions": ChatCompletionRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": CreateEmbeddingRequest,
    "/v1/audio/transcriptions": TranscriptionRequest,
}
CLIENTS: dict[str, list[Any]] = {
    "/v1/chat/completions": [
        chat_create_params.CompletionCreateParamsNonStreaming,
        chat_create_params.CompletionCreateParamsStreaming,
    ],
    "/v1/completions": [
        completion_create_params.CompletionCreateParamsNonStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    ],
    "/v1/embeddings": [embedding_create_params.EmbeddingCreateParams],
    "/v1/audio/transcriptions": [
        transcription_create_params.TranscriptionCreateParamsNonStreaming,
        transcription_create_params.TranscriptionCreateParamsStreaming,
    ],
}
ASKED = {
    "/v1/chat/completions": {"model": "talker", "messages": [{"role": "user", "content": "hello"}]},
    "/v1/completions": {"model": "talker", "prompt": "hello"},
    "/v1/embeddings": {"model": "vectors", "input": "hello"},
    "/v1/audio/transcriptions": {"model": "listener", "file": wav(tone(440))},
}


def post(http: httpx.Client, path: str, fields: dict[str, Any]) -> httpx.Response:
    """The answer to a request in JSON, or as a form where that is what the path takes."""
    if "file" not in ASKED[path]:
        return http.post(path, json=fields)
    parts = [
        (name, ("a.wav", value) if isinstance(value, bytes) else (None, "" if value is None else str(value)))
        for name, value in fields.items()
    ]
    return http.post(path, files=parts)


@pytest.mark.parametrize("path", BODIES)
def test_the_table_names_the_fields_that_are_read(path: str):
    body = BODIES[path]
    read = {field.encode_name for field in msgspec.structs.fields(body)}
    assert named(path, "supported") == read - set(body.refused)
    assert named(path, "refused") == set(body.refused)


@pytest.mark.parametrize("path", BODIES)
def test_the_table_names_every_field_of_the_official_client(path: str):
    known = {field for params in CLIENTS[path] for field in params.__annotations__}
    assert len(known) >= 5
    assert known - set(table(path)) == set()


@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path in BODIES for field in sorted(named(path, "refused"))]
)
def test_a_refused_field_is_refused_by_name(openai_http: httpx.Client, path: str, field: str):
    answer = post(openai_http, path, {**ASKED[path], field: {"some": "value"}})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


@pytest.mark.parametrize("path", BODIES)
def test_ignored_and_unknown_fields_change_nothing(openai_http: httpx.Client, path: str):
    extra = {field: {"some": ["value"]} for field in [*named(path, "ignored"), "nobody_knows_this"]}
    plain, given = (post(openai_http, path, ASKED[path] | more) for more in ({}, extra))
    assert (plain.status_code, given.status_code) == (200, 200)
    for content in ("choices", "data", "text"):
        assert plain.json().get(content) == given.json().get(content)


@pytest.mark.parametrize("path", BODIES)
def test_null_is_left_out(openai_http: httpx.Client, path: str):
    answer = post(openai_http, path, dict.fromkeys(table(path)) | ASKED[path])
    assert answer.status_code == 200
