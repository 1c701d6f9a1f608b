"""What goes wrong is told in Anthropic's shape, with its status."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx
import msgspec
import pytest
from starlette.requests import Request

from puna.errors import Busy, EngineGone, LoadFailed, PunaError
from puna.server.anthropic.errors import on_error
from puna.server.body import LIMIT
from tests.running import Server

LISTED = {"name": "look", "input_schema": {"type": "array"}}
HELLO = {"model": "talker", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}


def check(answer: httpx.Response, status: int, kind: str, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert body == {"type": "error", "error": body["error"], "request_id": answer.headers["request-id"]}
    assert set(body["error"]) == {"type", "message"}
    assert body["error"]["type"] == kind
    assert words in body["error"]["message"]


def announced(server: Server, path: str, length: int) -> httpx.Response:
    """The answer to a body that is only said to be so long."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        answer = connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_an_unknown_model(claude: httpx.Client, path: str, stream: bool):
    answer = claude.post(path, json={**HELLO, "model": "claude-sonnet-4-5", "stream": stream})
    check(answer, 404, "not_found_error", "model 'claude-sonnet-4-5' not found")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "missing request body"),
        (b"{", "invalid JSON"),
        (b"{}", 'missing required field "'),
        (msgspec.json.encode({**HELLO, "messages": [{"content": "hi"}]}), '"messages[0].role"'),
        (msgspec.json.encode({**HELLO, "temperature": -1}), '"temperature"'),
        (msgspec.json.encode({**HELLO, "top_p": 2}), '"top_p"'),
        (
            msgspec.json.encode({**HELLO, "model": "caller", "tools": [LISTED]}),
            'parameters of the function "look": its type must be "object"',
        ),
        (msgspec.json.encode({**HELLO, "max_tokens": None}), '"max_tokens"'),
        (msgspec.json.encode({**HELLO, "messages": [{"role": 1, "content": ""}]}), "messages[0].role"),
    ],
)
def test_a_wrong_body(claude: httpx.Client, body: bytes, words: str):
    check(claude.post("/v1/messages", content=body), 400, "invalid_request_error", words)


def test_a_body_that_is_too_large(anthropic_server: Server):
    answer = announced(anthropic_server, "/v1/messages", LIMIT + 1)
    check(answer, 413, "request_too_large", "256 MB")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("DELETE", "/v1/messages", 405, "invalid_request_error"),
        ("GET", "/v1/messages/count_tokens", 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", 404, "not_found_error"),
    ],
)
def test_paths_and_methods_that_are_not_there(
    claude: httpx.Client, method: str, path: str, status: int, kind: str
):
    check(claude.request(method, path), status, kind, "")


def test_a_model_that_cannot_talk(claude: httpx.Client):
    answer = claude.post("/v1/messages", json={**HELLO, "model": "vectors"})
    check(answer, 400, "invalid_request_error", "does not support chat")


def test_a_model_that_cannot_be_loaded(claude: httpx.Client):
    check(claude.post("/v1/messages", json={**HELLO, "model": "broken"}), 500, "api_error", "")


def test_clients_know_that_they_have_to_hold_a_conversation_themselves(claude: httpx.Client):
    answer = claude.post("/v1/messages", json={**HELLO, "thread": {"type": "create"}})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == {"error_code": "thread_unsupported_request"}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Busy("server busy", 7), 529, "overloaded_error"),
        (LoadFailed("no"), 500, "api_error"),
        (EngineGone("gone"), 500, "api_error"),
        (PunaError("no"), 500, "api_error"),
    ],
)
async def test_statuses(error: Exception, status: int, kind: str):
    scope: dict[str, Any] = {"type": "http", "request_id": "req_1"}
    answer = await on_error(Request(scope), error)
    told = {"type": "error", "error": {"type": kind, "message": str(error)}, "request_id": "req_1"}
    assert (answer.status_code, msgspec.json.decode(answer.body)) == (status, told)
    assert answer.headers.get("retry-after") == ("7" if status == 529 else None)
