"""The tables of docs/openai.md say what the code does, and name every field the official client knows."""

from __future__ import annotations

import re
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
from tests.conftest import REPOSITORY
from tests.hearing_models import tone, wav

_ROW = re.compile(r"^\| `(\w+)` \| (supported|ignored|refused) \|", re.MULTILINE)

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


def table(path: str) -> dict[str, str]:
    """What the documents say of each field of an endpoint."""
    text = (REPOSITORY / "docs" / "openai.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(path)}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    return dict(_ROW.findall(section[1]))


def documented(kind: str) -> list[tuple[str, str]]:
    return [(path, field) for path in BODIES for field, said in table(path).items() if said == kind]


@pytest.mark.parametrize("path", BODIES)
def test_the_table_names_the_fields_that_are_read(path: str):
    body = BODIES[path]
    said = table(path)
    read = {field.encode_name for field in msgspec.structs.fields(body)}
    assert {field for field, kind in said.items() if kind == "supported"} == read - set(body.refused)
    assert {field for field, kind in said.items() if kind == "refused"} == set(body.refused)


@pytest.mark.parametrize("path", BODIES)
def test_the_table_names_every_field_of_the_official_client(path: str):
    known = {field for params in CLIENTS[path] for field in params.__annotations__}
    assert len(known) >= 5
    assert known - set(table(path)) == set()


@pytest.mark.parametrize(("path", "field"), documented("refused"))
def test_a_refused_field_is_refused_by_name(openai_http: httpx.Client, path: str, field: str):
    answer = post(openai_http, path, {**ASKED[path], field: {"some": "value"}})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


@pytest.mark.parametrize("path", BODIES)
def test_ignored_and_unknown_fields_change_nothing(openai_http: httpx.Client, path: str):
    ignored = {field for field, kind in table(path).items() if kind == "ignored"}
    extra = {field: {"some": ["value"]} for field in [*ignored, "nobody_knows_this"]}
    plain, given = (post(openai_http, path, ASKED[path] | more) for more in ({}, extra))
    assert (plain.status_code, given.status_code) == (200, 200)
    for content in ("choices", "data", "text"):
        assert plain.json().get(content) == given.json().get(content)


@pytest.mark.parametrize("path", BODIES)
def test_null_is_left_out(openai_http: httpx.Client, path: str):
    answer = post(openai_http, path, dict.fromkeys(table(path)) | ASKED[path])
    assert answer.status_code == 200
