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


BEGIN, END = 2, 3
"""Of this vocabulary."""


def test_tokens_reach_the_model_as_they_are(openai_http: httpx.Client):
    tokens = openai_http.post("/api/tokenize", json={"model": "vectors", "text": "h i"}).json()["tokens"]
    whole = [BEGIN, *tokens, END]
    as_text = told(openai_http, input="h i")
    for given in (whole, [whole]):
        as_tokens = told(openai_http, input=given)
        assert vectors(as_tokens)[0] == pytest.approx(vectors(as_text)[0], abs=1e-5)
        assert as_tokens["usage"] == as_text["usage"]
    both = told(openai_http, input=[tokens, whole])
    assert vectors(both)[0] != pytest.approx(vectors(as_text)[0], abs=1e-3)
    assert vectors(both)[1] == pytest.approx(vectors(as_text)[0], abs=1e-5)
    assert both["usage"]["prompt_tokens"] == len(tokens) + len(whole)


def test_ids_of_special_tokens_are_one_token_each(openai_http: httpx.Client):
    assert told(openai_http, input=[1, 2, 3])["usage"]["prompt_tokens"] == 3


def test_tokens_that_are_too_many_are_cut(openai_http: httpx.Client):
    long = [BEGIN, *range(5, 15)] + [7] * 1000 + [END]
    body = told(openai_http, input=[long, [*long[:127], END]])
    assert vectors(body)[0] == pytest.approx(vectors(body)[1], abs=1e-5)
    assert body["usage"]["prompt_tokens"] == 2 * 128


def test_no_token_at_all_is_refused(openai_http: httpx.Client):
    answer = openai_http.post("/v1/embeddings", json={"model": "vectors", "input": [[5], []]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[1]")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([5, 99999], "input[1]"),
        ([[5], [5, 6, 99999]], "input[1][2]"),
        ([[99999]], "input[0][0]"),
        ([193, 0], "input[0]"),
    ],
)
def test_an_id_that_is_no_token_is_named(openai_http: httpx.Client, given: Any, param: str):
    answer = openai_http.post("/v1/embeddings", json={"model": "vectors", "input": given})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, "invalid_value")
    assert "vocabulary" in error["message"]


def test_dimensions(openai_http: httpx.Client):
    (short,), (whole,) = vectors(told(openai_http, dimensions=8)), vectors(told(openai_http))
    assert len(short) == 8
    assert math.isclose(sum(number * number for number in short), 1, rel_tol=1e-6)
    assert short[0] / whole[0] == pytest.approx(short[7] / whole[7])
