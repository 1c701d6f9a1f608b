"""POST /api/tokenize and /api/detokenize."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.model_parts import BEGIN, FIRST_BYTE
from tests.server.conftest import SCRIPT, spelled

TEXT = "héllo 😀"


def tokenize(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/api/tokenize", json={"model": "talker"} | fields)


def detokenize(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/api/detokenize", json={"model": "talker"} | fields)


@pytest.mark.parametrize("field", ["text", "content", "prompt"])
def test_a_text_is_spelled_in_the_models_tokens(http: httpx.Client, field: str):
    body = tokenize(http, **{field: "abc"}).json()
    assert body == {"model": "talker", "tokens": [FIRST_BYTE + byte for byte in b"abc"], "count": 3}


def test_there_and_back(http: httpx.Client):
    tokens = tokenize(http, text=TEXT).json()["tokens"]
    assert spelled(tokens) == TEXT.replace(" ", "")
    assert detokenize(http, tokens=tokens).json() == {"model": "talker", "text": TEXT, "content": TEXT}
    # Words of the model's own are one token each.
    assert len(tokenize(http, text=SCRIPT).json()["tokens"]) < len(SCRIPT.encode())


def test_the_begin_token_is_put_first_when_it_is_asked_for(http: httpx.Client):
    bare = tokenize(http, text="abc").json()["tokens"]
    assert tokenize(http, text="abc", add_special=True).json()["tokens"] == [BEGIN, *bare]
    assert tokenize(http, text="", add_special=False).json()["tokens"] == []
    assert detokenize(http, tokens=[BEGIN, *bare]).json()["text"] == "<s>abc"


def test_models_that_do_not_talk_have_tokens_too(http: httpx.Client):
    tokens = tokenize(http, model="vectors", text="ab c").json()["tokens"]
    assert len(tokens) == 3
    assert detokenize(http, model="vectors", tokens=tokens).json()["text"].split() == ["ab", "c"]


@pytest.mark.parametrize(
    ("path", "fields", "status", "error"),
    [
        ("tokenize", {"model": "talker"}, 400, "text is required"),
        ("tokenize", {"text": "abc"}, 400, "model is required"),
        ("tokenize", {"model": "none", "text": "abc"}, 404, "model 'none' not found"),
        (
            "tokenize",
            {"model": "talker", "text": 1},
            400,
            'invalid value for "text": expected string, got integer',
        ),
        ("detokenize", {"model": "talker"}, 400, "tokens is required"),
        ("detokenize", {"tokens": []}, 400, "model is required"),
        (
            "detokenize",
            {"model": "talker", "tokens": [5, -1]},
            400,
            'invalid value for "tokens[1]": expected integer >= 0',
        ),
        (
            "detokenize",
            {"model": "talker", "tokens": [2**40]},
            400,
            'invalid value for "tokens[0]": expected integer <= 2147483647',
        ),
        (
            "detokenize",
            {"model": "vectors", "tokens": [5, 6, 193]},
            400,
            "token 193 at place 2 is not in the vocabulary of 193 tokens",
        ),
    ],
)
def test_what_is_refused(http: httpx.Client, path: str, fields: dict[str, Any], status: int, error: str):
    answer = http.post(f"/api/{path}", json=fields)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
