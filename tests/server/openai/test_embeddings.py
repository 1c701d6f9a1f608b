"""POST /v1/embeddings."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import httpx
import pytest


def told(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post("/v1/embeddings", json={"model": "vectors", "input": "hello", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def vectors(body: dict[str, Any]) -> list[list[float]]:
    assert [entry["index"] for entry in body["data"]] == list(range(len(body["data"])))
    assert {entry["object"] for entry in body["data"]} == {"embedding"}
    return [entry["embedding"] for entry in body["data"]]


def test_one_text(openai_http: httpx.Client):
    body = told(openai_http)
    assert (body["object"], body["model"]) == ("list", "vectors")
    (vector,) = vectors(body)
    assert math.isclose(sum(number * number for number in vector), 1, rel_tol=1e-4)
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 0
    native = openai_http.post("/api/embed", json={"model": "vectors", "input": "hello"}).json()
    assert native["embeddings"] == [vector]


def test_several_texts(openai_http: httpx.Client):
    one, two = vectors(told(openai_http, input=["hello", "a much longer text"]))
    assert one != two
    assert one == pytest.approx(vectors(told(openai_http))[0], abs=1e-5)


def test_base64_holds_the_same_numbers(openai_http: httpx.Client):
    (written,) = vectors(told(openai_http, encoding_format="base64"))
    assert isinstance(written, str)
    (vector,) = vectors(told(openai_http, encoding_format="float"))
    assert list(struct.unpack(f"<{len(vector)}f", base64.b64decode(written))) == pytest.approx(
        vector, rel=1e-6
    )


def test_tokens_stand_for_their_text(openai_http: httpx.Client):
    tokens = openai_http.post("/api/tokenize", json={"model": "vectors", "text": "h i"}).json()["tokens"]
    assert tokens
    (as_text,) = vectors(told(openai_http, input="h i"))
    for vector in vectors(told(openai_http, input=tokens)) + vectors(told(openai_http, input=[tokens] * 2)):
        assert vector == pytest.approx(as_text, abs=1e-5)


def test_dimensions(openai_http: httpx.Client):
    (short,), (whole,) = vectors(told(openai_http, dimensions=8)), vectors(told(openai_http))
    assert len(short) == 8
    assert math.isclose(sum(number * number for number in short), 1, rel_tol=1e-6)
    assert short[0] / whole[0] == pytest.approx(short[7] / whole[7])
