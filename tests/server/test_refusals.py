"""What a bad request gets: the status and the words of Ollama."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from tests.running import Server

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
PNG = "iVBORw0KGgo="
FULL = "registry.ollama.ai/library"
LEVELS = '"high", "medium", "low", "max", true, or false'

Request = tuple[str, dict[str, Any]]


def chat(**fields: Any) -> Request:
    return "chat", {"model": "talker", "messages": HELLO, **fields}


def generate(**fields: Any) -> Request:
    return "generate", {"model": "talker", "prompt": "hello", **fields}


def embed(**fields: Any) -> Request:
    return "embed", {"model": "vectors", "input": "hello", **fields}


def embeddings(**fields: Any) -> Request:
    return "embeddings", {"model": "vectors", "prompt": "hello", **fields}


def copy(source: str, destination: str) -> Request:
    return "copy", {"source": source, "destination": destination}


def show(**fields: Any) -> Request:
    return "show", fields


REFUSED = [
    # No such model.
    (chat(model=None), 400, "model is required"),
    (generate(model=""), 400, "model is required"),
    (embed(model=None), 400, "model is required"),
    (embeddings(model=None), 400, "model is required"),
    (show(), 400, "model is required"),
    (("pull", {}), 400, "model is required"),
    (chat(model="nobody"), 404, "model 'nobody' not found"),
    (generate(model="nobody"), 404, "model 'nobody' not found"),
    (embed(model="nobody"), 404, 'model "nobody" not found, try pulling it first'),
    (show(model="nobody"), 404, "model 'nobody:latest' not found"),
    (copy("nobody", "y"), 404, 'model "nobody" not found'),
    # Names that are none.
    (chat(model="../../etc/passwd"), 400, "invalid model name"),
    (generate(model="/etc/passwd"), 400, "invalid model name"),
    (embed(model="x" * 500), 400, "invalid model name"),
    (copy("../x", "y"), 400, 'source "../x" is invalid'),
    (copy("talker", "a b"), 400, 'destination "a b" is invalid'),
    # What the model cannot do.
    (chat(model="vectors"), 400, '"vectors" does not support chat'),
    (generate(model="vectors"), 400, '"vectors" does not support generate'),
    (embed(model="talker"), 400, '"talker" does not support embeddings'),
    (embeddings(model="talker"), 400, '"talker" does not support embeddings'),
    (chat(think=True), 400, '"talker" does not support thinking'),
    (generate(think="high"), 400, '"talker" does not support thinking'),
    (chat(tools=[TOOL]), 400, f"{FULL}/talker:latest does not support tools"),
    (generate(suffix="y"), 400, f"{FULL}/talker:latest does not support insert"),
    # Fields whose values are none of theirs.
    (chat(think="deep"), 400, f'invalid think value: "deep" (must be {LEVELS})'),
    (chat(format="yaml"), 400, 'invalid format: expected "json" or a JSON schema'),
    (chat(keep_alive="soon"), 400, 'time: invalid duration "soon"'),
    (chat(options={"top_k": "many"}), 400, 'option "top_k" must be of type integer'),
    (chat(options={"seed": 2**70}), 400, 'option "seed" must be of type integer'),
    (chat(options={"num_ctx": 10**400}), 400, 'option "num_ctx" must be of type integer'),
    (chat(options={"temperature": 10**400}), 400, 'option "temperature" must be of type float32'),
    (generate(options={"num_predict": 1e300}), 400, 'option "num_predict" must be of type integer'),
    (chat(options={"replicas": -1}), 400, 'option "replicas" must be of type integer, 0 or more'),
    (
        generate(template="{{ range $i := 1000000000 }}x{{ end }}"),
        400,
        "template: the template takes too many steps",
    ),
    (chat(options={"stop": [1]}), 400, 'option "stop" must be of an array of strings'),
    (embed(input=[1]), 400, 'invalid value for "input[0]": expected string, got integer'),
    (generate(context=[1, -1]), 400, 'invalid value for "context[1]": expected integer >= 0'),
    (generate(context=[2**70]), 400, 'invalid value for "context[0]": expected integer <= 2147483647'),
    (generate(raw=True, system="y"), 400, "raw mode does not support template, system, or context"),
]


@pytest.mark.parametrize(("request_", "status", "error"), REFUSED)
def test_a_bad_request_is_refused(http: httpx.Client, request_: Request, status: int, error: str):
    path, body = request_
    answer = http.post(f"/api/{path}", json=body)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


@pytest.mark.parametrize("stream", [True, False])
def test_a_template_that_does_not_parse_is_refused(http: httpx.Client, stream: bool):
    body = {"model": "talker", "prompt": "x", "template": "{{ if }}", "stream": stream}
    answer = http.post("/api/generate", json=body)
    assert answer.status_code == 400
    assert "template" in answer.json()["error"]


@pytest.mark.parametrize(
    "request_",
    [
        generate(images=[PNG]),
        chat(messages=[{"role": "user", "content": "what is this?", "images": [PNG]}]),
        chat(messages=[{"role": "user", "content": [{"type": "image", "url": "https://example.com/a.jpg"}]}]),
    ],
)
def test_a_text_model_refuses_images(http: httpx.Client, request_: Request):
    path, body = request_
    answer = http.post(f"/api/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith('"talker" does not support vision')


@pytest.mark.parametrize(
    "request_", [chat(model="broken"), generate(model="broken"), generate(model="broken", prompt="")]
)
def test_a_damaged_model_fails_with_the_reason_and_the_server_lives(http: httpx.Client, request_: Request):
    path, body = request_
    answer = http.post(f"/api/{path}", json=body)
    assert answer.status_code == 500
    assert "truncated" in answer.json()["error"]
    assert http.get("/").text == "Ollama is running"


@pytest.mark.parametrize("path", ["chat", "generate", "embed", "embeddings", "show", "pull", "copy"])
@pytest.mark.parametrize(
    ("content", "error"), [(b"", "missing request body"), (b"{model", "invalid JSON in request body")]
)
def test_a_missing_or_malformed_body_is_refused(http: httpx.Client, path: str, content: bytes, error: str):
    answer = http.post(f"/api/{path}", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)


def test_a_body_that_says_it_is_huge_is_refused_unread(native_server: Server):
    with socket.create_connection(("127.0.0.1", native_server.port), timeout=60) as line:
        line.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n{")
        assert line.recv(1024).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/api/chat", 405, "405 method not allowed"),
        ("POST", "/api/tags", 405, "405 method not allowed"),
        ("POST", "/api/delete", 405, "405 method not allowed"),
        ("GET", "/api/nothing", 404, "404 page not found"),
        ("GET", "/favicon.ico", 404, "404 page not found"),
    ],
)
def test_unknown_paths_and_methods(http: httpx.Client, method: str, path: str, status: int, text: str):
    answer = http.request(method, path)
    assert (answer.status_code, answer.text) == (status, text)


def test_a_prompt_longer_than_the_context_is_refused_when_it_may_not_be_cut(http: httpx.Client):
    body = {
        "model": "talker", "messages": [{"role": "user", "content": "x" * 2000}], "truncate": False,
        "options": {"num_ctx": 256},
    }  # fmt: skip
    answer = http.post("/api/chat", json=body)
    assert answer.status_code == 400
    assert "context length" in answer.json()["error"]
    assert http.post("/api/chat", json={**body, "truncate": True, "stream": False}).json()["done"] is True


def test_unknown_options_are_ignored(http: httpx.Client):
    body = {"model": "talker", "prompt": "x", "stream": False, "options": {"warp": 9}}
    assert http.post("/api/generate", json=body).json()["done"] is True
