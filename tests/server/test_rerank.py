"""POST /v1/rerank and its other paths: with rerankers of several forms, and with a model of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gguf import PoolingType

from puna.server.native.rerank import PATHS
from tests.models import decoder_embedding_model, embedding_model, install, scripted_model
from tests.reranker_reference import Reference
from tests.running import serving

QUERY = "what is a panda"
DOCUMENTS = ["hi", "it is a bear", "the giant panda is a bear of china", "rust", ""]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reranker") / "reranker.gguf"
    embedding_model(path, classifier=True, pooling=PoolingType.RANK)
    return path


@pytest.fixture(scope="module")
def http(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store, other = tmp_path_factory.mktemp("models"), gguf.with_name("other.gguf")
    install(store, "ranker", gguf)
    embedding_model(other, classifier=True, pooling=None)
    install(store, "older", other)
    decoder_embedding_model(other, rerank_template="Is {document} an answer to {query}?")
    install(store, "judge", other)
    embedding_model(other)
    install(store, "vectors", other)
    scripted_model(other, "words")
    install(store, "talker", other)
    with serving(store) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def rank(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/v1/rerank", json={"model": "ranker", "query": QUERY, "documents": DOCUMENTS} | fields)


def scores(answer: httpx.Response) -> list[float]:
    """In the documents' order."""
    assert answer.status_code == 200, answer.text
    return [
        result["relevance_score"]
        for result in sorted(answer.json()["results"], key=lambda result: result["index"])
    ]


@pytest.mark.parametrize("model", ["ranker", "older"])
def test_scores_are_those_of_the_forward_pass(http: httpx.Client, gguf: Path, model: str):
    reference = Reference(gguf)
    expected = [reference.relevance(QUERY, document) for document in DOCUMENTS]
    # libllama looks GELU up in a table of half precision.
    assert scores(rank(http, model=model)) == pytest.approx(expected, abs=2e-3)
    assert max(expected) - min(expected) > 0.05


def test_the_best_come_first(http: httpx.Client):
    body = rank(http).json()
    assert list(body) == ["id", "model", "object", "results", "usage", "meta"]
    assert body["id"].startswith("rerank-")
    found = [result["relevance_score"] for result in body["results"]]
    assert found == sorted(found, reverse=True)
    assert sorted(result["index"] for result in body["results"]) == [0, 1, 2, 3, 4]
    assert all(list(result) == ["index", "relevance_score"] for result in body["results"])
    # A token a letter, and three that frame each pair.
    letters = sum(len(text.replace(" ", "")) for text in DOCUMENTS) + len(DOCUMENTS) * 12
    tokens = letters + 3 * len(DOCUMENTS)
    assert body["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert body["meta"] == {"tokens": {"input_tokens": tokens}}


def test_a_model_may_write_down_its_own_form(http: httpx.Client):
    answer = rank(http, model="judge", query="{document}", documents=["one", "{query}", "<s>"])
    # A token a letter: a query that looks like a place in the form is none, nor is a document.
    assert answer.json()["usage"]["prompt_tokens"] == sum(
        len(f"Is {document} an answer to {{document}}?") for document in ("one", "{query}", "!")
    )
    found = scores(answer)
    assert all(0 < score < 1 for score in found)
    assert len(set(found)) == 3
    long = rank(http, model="judge", documents=["word " * 4000, "word " * 3000])
    assert scores(long)[0] == pytest.approx(scores(long)[1], abs=1e-5)
    assert 4000 < long.json()["usage"]["prompt_tokens"] / 2 <= 4096


def test_a_few_with_their_texts(http: httpx.Client):
    documents = [DOCUMENTS[0], {"text": DOCUMENTS[1], "title": "ignored"}, DOCUMENTS[2]]
    best = rank(http, documents=documents, top_n=2, return_documents=True).json()["results"]
    assert len(best) == 2
    assert [result["document"] for result in best] == [{"text": DOCUMENTS[r["index"]]} for r in best]
    assert best == rank(http, documents=documents, return_documents=True).json()["results"][:2]


def test_company_changes_nothing(http: httpx.Client):
    together = scores(rank(http, documents=DOCUMENTS * 20))
    alone = [scores(rank(http, documents=[document]))[0] for document in DOCUMENTS]
    assert together == pytest.approx(alone * 20, abs=1e-4)


def test_all_paths_are_one(http: httpx.Client):
    body = {"model": "ranker", "query": QUERY, "documents": DOCUMENTS}
    answers = [http.post(path, json=body).json() for path in PATHS]
    assert len({answer.pop("id") for answer in answers}) == len(PATHS)
    assert answers == answers[:1] * len(PATHS)


def test_a_long_document_loses_its_end_unless_that_is_forbidden(http: httpx.Client, gguf: Path):
    long = "panda " * 100
    # 128 tokens of context, less 3 for the frame and 12 for the query.
    kept = "panda " * 22 + "pan"
    expected = Reference(gguf).relevance(QUERY, kept)
    assert scores(rank(http, documents=[long])) == [pytest.approx(expected, abs=2e-3)]
    refused = rank(http, documents=[long], truncate=False)
    assert refused.status_code == 400
    assert refused.json() == {"error": "the input length exceeds the context length"}
    refused = rank(http, query=long)
    assert refused.status_code == 400
    assert refused.json() == {"error": "the query leaves no room for a document in the context"}


def test_a_model_of_vectors_ranks_by_likeness(http: httpx.Client):
    answer = rank(http, model="vectors", documents=["rust", QUERY])
    asked, *vectors = http.post(
        "/api/embed", json={"model": "vectors", "input": [QUERY, "rust", QUERY]}
    ).json()["embeddings"]
    cosines = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in vectors]
    assert scores(answer) == pytest.approx(cosines, abs=1e-5)
    assert answer.json()["results"][0]["relevance_score"] == pytest.approx(1, abs=1e-5)


def test_a_cosine_is_at_most_1(http: httpx.Client):
    for text in "abcdefghij":
        (score,) = scores(rank(http, model="vectors", query=text, documents=[text]))
        assert 1 - 1e-5 < score <= 1


def test_a_reranker_does_nothing_else(http: httpx.Client):
    assert http.post("/api/show", json={"model": "ranker"}).json()["capabilities"] == ["rerank"]
    refused = http.post("/api/embed", json={"model": "ranker", "input": "text"})
    assert (refused.status_code, refused.json()["error"]) == (400, '"ranker" does not support embeddings')
    refused = http.post("/api/generate", json={"model": "ranker", "prompt": "text"})
    assert (refused.status_code, refused.json()["error"]) == (400, '"ranker" does not support generate')


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"model": "talker"}, 400, '"talker" does not support reranking'),
        ({"model": "none"}, 404, "model 'none' not found"),
        ({"model": None}, 400, "model is required"),
        ({"query": ""}, 400, "query is required"),
        ({"documents": []}, 400, "documents is required: a list of texts, or of objects with a text"),
        ({"documents": [1]}, 400, 'invalid value for "documents[0]": expected string | object, got integer'),
        ({"top_n": 0}, 400, 'invalid value for "top_n": expected integer >= 1'),
    ],
)
def test_what_is_refused(http: httpx.Client, fields: dict[str, Any], status: int, error: str):
    answer = rank(http, **fields)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
