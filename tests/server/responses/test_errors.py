"""What goes wrong is told in OpenAI's shape, with its status."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from puna.server.body import LIMIT
from tests.running import Server
from tests.server.anthropic.test_errors import announced

HELLO = {"model": "talker", "input": "hello"}
TOOL = {"type": "function", "name": "look"}
LISTED = {**TOOL, "parameters": {"type": "array"}}
SHAPED = {"format": {"type": "json_schema", "name": "it", "schema": {"type": "hiccup"}}}
PNG = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}


def check(answer: httpx.Response, status: int, param: str | None, code: str | None, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    error = answer.json()["error"]
    kinds = {404: "not_found_error", 500: "server_error", 503: "server_error"}
    kind = kinds.get(status, "invalid_request_error")
    assert error == {"message": error["message"], "type": kind, "param": param, "code": code}
    assert words in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model(client: httpx.Client, stream: bool):
    answer = client.post("/v1/responses", json={**HELLO, "model": "gpt-5", "stream": stream})
    check(answer, 404, "model", "model_not_found", "model 'gpt-5' not found")


@pytest.mark.parametrize(
    ("fields", "param", "code", "words"),
    [
        ({"input": 5}, "input", "invalid_value", "expected"),
        ({"model": ""}, "model", "missing_required_parameter", "must not be empty"),
        ({"input": [{"content": "hi"}]}, "input[0].role", "missing_required_parameter", "is required"),
        (
            {"input": [{"type": "message", "content": ""}]},
            "input[0].role",
            "missing_required_parameter",
            "",
        ),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter", "is required"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter", "tools[0]: "),
        ({"metadata": {"a": 1}}, "metadata", "invalid_value", "expected string"),
        ({"temperature": -1}, "temperature", "invalid_value", "expected number >= 0"),
        ({"text": {"format": {}}}, "text.format.type", "missing_required_parameter", "text.format.type"),
        ({"model": None}, "model", "invalid_value", "expected string"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort", "invalid_value", "huge"),
        ({"background": True}, "background", "unsupported_parameter", "not supported"),
        ({"input": [{"type": "computer_call"}]}, "input[0]", "unsupported_value", "computer_call"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found", "resp_1"),
        (
            {"model": "narrow", "input": "too long " * 100},
            "input",
            "context_length_exceeded",
            "However, your messages resulted in",
        ),
        ({"text": SHAPED}, "text.format.schema", "invalid_value", "invalid JSON schema"),
        ({"tools": [TOOL]}, "tools", "invalid_value", "does not support tools"),
        ({"model": "caller", "tools": [LISTED]}, "tools", "invalid_value", 'its type must be "object"'),
        ({"reasoning": {"effort": "high"}}, "reasoning.effort", "invalid_value", "does not support thinking"),
        ({"model": "vectors"}, "model", "invalid_value", "does not support chat"),
        ({"model": "a b"}, "model", "invalid_value", "invalid model name"),
        (
            {"input": [{"role": "user", "content": [PNG]}]},
            "input",
            "invalid_value",
            "does not support vision",
        ),
        ({"max_output_tokens": 2**64}, "max_output_tokens", "invalid_value", "integer"),
    ],
)
def test_a_wrong_field(client: httpx.Client, fields: dict[str, Any], param: str, code: str, words: str):
    check(client.post("/v1/responses", json={**HELLO, **fields}), 400, param, code, words)


@pytest.mark.parametrize(
    ("body", "words"), [(b"", "missing request body"), (b"{", "invalid JSON"), (b"[]", "got `array`")]
)
def test_a_wrong_body(client: httpx.Client, body: bytes, words: str):
    check(client.post("/v1/responses", content=body), 400, None, None, words)


def test_a_body_that_is_too_large(server: Server):
    check(announced(server, "/v1/responses", LIMIT + 1), 413, None, None, "256 MB")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/responses", 405, "method_not_allowed"),
        ("POST", "/v1/responses/resp_1", 405, "method_not_allowed"),
        ("GET", "/v1/responses/resp_1/input_items", 404, "unknown_url"),
        ("GET", "/v1/responses/resp_1", 404, None),
        ("DELETE", "/v1/responses/resp_1", 404, None),
    ],
)
def test_paths_and_methods_that_are_not_there(
    client: httpx.Client, method: str, path: str, status: int, code: str | None
):
    check(client.request(method, path), status, None, code, "")


def test_a_kept_answer_does_not_stream(client: httpx.Client):
    answer = client.get("/v1/responses/resp_1", params={"stream": "true"})
    check(answer, 400, "stream", "unsupported_parameter", "")


def test_a_model_that_cannot_be_loaded(client: httpx.Client):
    check(client.post("/v1/responses", json={**HELLO, "model": "broken"}), 500, None, None, "")
