"""POST /api/embed and /api/embeddings."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest


def embed(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/api/embed", json={"model": "vectors", **fields})


def test_a_vector_for_each_text(http: httpx.Client):
    body = embed(http, input=["one", "two", "one"]).json()
    assert list(body) == ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]
    one, two, again = body["embeddings"]
    assert len(one) == 64
    assert one == pytest.approx(again, abs=1e-6)
    assert one != pytest.approx(two, abs=1e-3)
    assert math.hypot(*one) == pytest.approx(1)
    assert body["prompt_eval_count"] > 9


def test_a_text_alone_is_a_list_of_one(http: httpx.Client):
    alone = embed(http, input="one").json()["embeddings"]
    assert alone == [pytest.approx(embed(http, input=["one"]).json()["embeddings"][0], abs=1e-6)]


@pytest.mark.parametrize("nothing", ["", [], None])
def test_no_text_loads_the_model(http: httpx.Client, nothing: Any):
    assert embed(http, input=nothing).json() == {"model": "vectors", "embeddings": []}


def test_fewer_dimensions_are_cut_and_normalised_again(http: httpx.Client):
    (whole,) = embed(http, input="one").json()["embeddings"]
    (cut,) = embed(http, input="one", dimensions=8).json()["embeddings"]
    length = math.hypot(*whole[:8])
    assert cut == pytest.approx([number / length for number in whole[:8]], abs=1e-5)
    (more,) = embed(http, input="one", dimensions=1000).json()["embeddings"]
    assert more == pytest.approx(whole, abs=1e-6)


def test_a_long_text_is_cut_unless_that_is_forbidden(http: httpx.Client):
    long = "word " * 1000
    assert len(embed(http, input=long).json()["embeddings"]) == 1
    refused = embed(http, input=long, truncate=False)
    assert refused.status_code == 400
    assert refused.json() == {"error": "the input length exceeds the context length"}


def test_the_older_endpoint_has_one_vector(http: httpx.Client):
    body = http.post("/api/embeddings", json={"model": "vectors", "prompt": "one"}).json()
    assert list(body) == ["embedding"]
    assert body["embedding"] == pytest.approx(embed(http, input="one").json()["embeddings"][0], abs=1e-6)
    assert http.post("/api/embeddings", json={"model": "vectors"}).json() == {"embedding": []}


def test_the_older_endpoint_leaves_vectors_of_some_models_as_they_are(http: httpx.Client):
    whole = http.post("/api/embeddings", json={"model": "unnormalized", "prompt": "one"}).json()["embedding"]
    (vector,) = http.post("/api/embed", json={"model": "unnormalized", "input": "one"}).json()["embeddings"]
    length = math.hypot(*whole)
    assert abs(length - 1) > 0.01
    assert vector == pytest.approx([number / length for number in whole], abs=1e-5)
