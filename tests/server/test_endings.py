"""An answer that would never end: one token for ever, or values that are no numbers; in every dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gguf import PoolingType

from tests.models import damage, embedding_model, install, scripted_model
from tests.running import serving

MESSAGES = [{"role": "user", "content": "Go"}]
MOST = 32
"""Tokens of an answer that only repeats one: the first, and more than 30 like it."""


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server whose models do not end."""
    folder = tmp_path_factory.mktemp("endings")
    gguf, store = folder / "model.gguf", folder / "models"
    scripts: dict[str, list[str | bytes]] = {
        "laughs": [" ha"],
        "blank": ["\n", " ", "\n\n", "  "],
        "bars": ["ab", "cd"],
    }
    for name, script in scripts.items():
        scripted_model(gguf, script, endless=True, context_length=256)
        install(store, name, gguf)
    scripted_model(gguf, '{"a": 1}')
    install(store, "json", gguf)
    scripted_model(gguf, "Fine.")
    damage(gguf, "blk.0.ffn_norm.weight")
    install(store, "nan", gguf)
    scripted_model(gguf, "Fine.")
    damage(gguf, "output.weight", slice(40, 41))
    install(store, "one-nan", gguf)
    scripted_model(gguf, "Fine.")
    damage(gguf, "output_norm.weight", value=float("inf"))
    install(store, "infinite", gguf)
    # The second word of the answer is the last token but one.
    scripted_model(gguf, "All is fine.")
    damage(gguf, "token_embd.weight", slice(-2, -1))
    install(store, "breaks", gguf)
    embedding_model(gguf)
    damage(gguf, "token_embd_norm.weight")
    install(store, "nan-vectors", gguf)
    # Only texts with an "é", which is no word piece of this vocabulary, have a NaN.
    embedding_model(gguf)
    damage(gguf, "token_embd.weight", slice(1, 2))
    install(store, "some-vectors", gguf)
    embedding_model(gguf, pooling=PoolingType.RANK, classifier=True)
    damage(gguf, "cls.output.weight")
    install(store, "nan-ranks", gguf)
    with serving(store) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def chat(model: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "/api/chat", {"model": model, "messages": MESSAGES, **fields}


DIALECTS = {
    "chat": chat,
    "generate": lambda model, **fields: ("/api/generate", {"model": model, "prompt": "Go", **fields}),
    "openai": lambda model, **fields: ("/v1/chat/completions", chat(model, **fields)[1]),
    "completions": lambda model, **fields: ("/v1/completions", {"model": model, "prompt": "Go", **fields}),
    "responses": lambda model, **fields: ("/v1/responses", {"model": model, "input": "Go", **fields}),
    "anthropic": lambda model, **fields: ("/v1/messages", chat(model, max_tokens=1000, **fields)[1]),
}


def ended(dialect: str, body: dict[str, Any]) -> tuple[Any, int]:
    """Why a whole answer ended, and its number of tokens."""
    if dialect in ("chat", "generate"):
        assert body["done"] is True
        return body["done_reason"], body["eval_count"]
    if dialect in ("openai", "completions"):
        return body["choices"][0]["finish_reason"], body["usage"]["completion_tokens"]
    if dialect == "responses":
        assert body["status"] == "incomplete"
        return body["incomplete_details"]["reason"], body["usage"]["output_tokens"]
    return body["stop_reason"], body["usage"]["output_tokens"]


REASONS = {
    "chat": "repetition",
    "generate": "repetition",
    "openai": "length",
    "completions": "length",
    "responses": "max_output_tokens",
    "anthropic": "max_tokens",
}


@pytest.mark.parametrize("model", ["laughs", "blank"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_token_for_ever_is_ended(http: httpx.Client, dialect: str, model: str) -> None:
    path, body = DIALECTS[dialect](model, stream=False)
    answer = http.post(path, json=body)
    assert answer.status_code == 200
    assert ended(dialect, answer.json()) == (REASONS[dialect], MOST)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_token_for_ever_is_ended_in_a_stream(http: httpx.Client, dialect: str) -> None:
    path, body = DIALECTS[dialect]("laughs", stream=True)
    if path.endswith("completions"):
        body["stream_options"] = {"include_usage": True}
    text = http.post(path, json=body).text
    assert text.count(" ha") >= MOST
    objects = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.endswith("}")]
    last = objects[-1]
    if dialect in ("chat", "generate"):
        assert ended(dialect, last) == (REASONS[dialect], MOST)
    elif dialect in ("openai", "completions"):
        assert objects[-2]["choices"][0]["finish_reason"] == "length"
        assert last["usage"]["completion_tokens"] == MOST
    elif dialect == "responses":
        assert last["type"] == "response.incomplete"
        assert ended(dialect, last["response"]) == (REASONS[dialect], MOST)
    else:
        assert objects[-2]["delta"]["stop_reason"] == REASONS[dialect]
        assert objects[-2]["usage"]["output_tokens"] == MOST


def test_tokens_in_turns_are_no_repetition(http: httpx.Client) -> None:
    path, body = chat("bars", stream=False, options={"num_predict": 100})
    assert ended("chat", http.post(path, json=body).json()) == ("length", 100)


def test_a_limit_comes_before_the_repetition(http: httpx.Client) -> None:
    path, body = chat("laughs", stream=False, options={"num_predict": 20})
    assert ended("chat", http.post(path, json=body).json()) == ("length", 20)


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0}, {"logprobs": True}])
@pytest.mark.parametrize("model", ["nan", "one-nan", "infinite"])
@pytest.mark.parametrize("dialect", ["chat", "generate"])
def test_values_that_are_no_numbers_are_an_error(
    http: httpx.Client, dialect: str, model: str, sampling: dict[str, Any]
) -> None:
    for stream in (False, True):
        path, body = DIALECTS[dialect](model, stream=stream, options={"num_predict": 20}, **sampling)
        answer = http.post(path, json=body)
        assert answer.status_code == 500
        assert "NaN" in answer.json()["error"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["openai", "completions", "responses", "anthropic"])
def test_values_that_are_no_numbers_are_an_error_in_other_dialects(
    http: httpx.Client, dialect: str, stream: bool
) -> None:
    path, body = DIALECTS[dialect]("nan", stream=stream)
    answer = http.post(path, json=body)
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert "NaN" in error["message"]
    assert error["type"] == ("api_error" if dialect == "anthropic" else "server_error")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_that_comes_to_no_numbers_ends_with_an_error(http: httpx.Client, dialect: str):
    path, body = DIALECTS[dialect]("breaks", stream=True)
    answer = http.post(path, json=body)
    assert answer.status_code == 200
    said = answer.text.replace('"', "")
    assert "All" in said
    assert " is" in said
    assert "NaN" in said.rstrip().splitlines()[-1]
    # Other requests go on, and the next one is as good.
    assert http.post(path, json=body).text.count("NaN") == answer.text.count("NaN")


def test_a_prompt_whose_probabilities_are_no_numbers_is_an_error(http: httpx.Client) -> None:
    body = {"model": "one-nan", "prompt": "Go on", "echo": True, "logprobs": 1, "max_tokens": 0}
    answer = http.post("/v1/completions", json=body)
    assert answer.status_code == 500
    assert "NaN" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/embed", {"model": "nan-vectors", "input": ["one", "two", "three"]}),
        ("/api/embeddings", {"model": "nan-vectors", "prompt": "one"}),
        ("/v1/embeddings", {"model": "nan-vectors", "input": "one"}),
        ("/v1/embeddings", {"model": "nan-vectors", "input": "one", "encoding_format": "base64"}),
        ("/v1/rerank", {"model": "nan-ranks", "query": "one", "documents": ["two", "three"]}),
    ],
)
def test_vectors_and_scores_that_are_no_numbers_are_an_error(
    http: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 500
    assert "NaN" in answer.text


def test_one_vector_that_is_no_numbers_fails_its_request_alone(http: httpx.Client) -> None:
    texts = ["one", "é", "two", "é"]
    assert http.post("/api/embed", json={"model": "some-vectors", "input": texts}).status_code == 500
    whole = http.post("/api/embed", json={"model": "some-vectors", "input": ["one", "two"]})
    assert [len(vector) for vector in whole.json()["embeddings"]] == [64, 64]


@pytest.mark.parametrize("form", ["json", {"type": "object", "required": ["a"]}])
def test_the_end_token_counts_where_nothing_else_may_follow(http: httpx.Client, form: object) -> None:
    """llama.cpp's server counts it, too: it draws it from a grammar that has ended."""

    def asked(**fields: Any) -> tuple[str, str, int]:
        path, request = chat("json", stream=False, **fields)
        body = http.post(path, json=request).json()
        return body["message"]["content"], body["done_reason"], body["eval_count"]

    free = asked()
    assert asked(format=form) == free
    assert asked(format=form, options={"num_predict": free[2] - 1}) == ('{"a": 1}', "stop", free[2] - 1)
