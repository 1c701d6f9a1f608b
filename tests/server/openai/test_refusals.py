"""What a bad request gets: OpenAI's shape, with the field and the status."""

from __future__ import annotations

import base64
import json
import socket
from typing import Any

import httpx
import pytest

from tests.faults.injecting import engines
from tests.hearing_models import tone, wav
from tests.running import Server, serving

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "now"}}
PNG = "data:image/png;base64,iVBORw0KGgo="
NAMED = {"type": "function", "function": {"name": "then"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "x"}}

LISTED = {"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}
SOUND = base64.b64encode(wav(tone(440))).decode()
HEARD = {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}

Request = tuple[str, dict[str, Any]]


def listed(kind: Any) -> dict[str, Any]:
    """A schema as llama.cpp's clients give one."""
    return {"type": "json_object", "schema": {"type": kind}}


def shaped(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}


def chat(**fields: Any) -> Request:
    return "chat/completions", {"model": "talker", "messages": HELLO, **fields}


def user(*parts: Any) -> Request:
    return chat(messages=[{"role": "user", "content": list(parts)}])


def complete(**fields: Any) -> Request:
    return "completions", {"model": "talker", "prompt": "hello", **fields}


def embed(**fields: Any) -> Request:
    return "embeddings", {"model": "vectors", "input": "hello", **fields}


def told(answer: httpx.Response) -> dict[str, Any]:
    """The error, which has the right shape."""
    assert answer.headers["content-type"].startswith("application/json")
    (error,) = answer.json().values()
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.mark.parametrize(
    ("request_", "param", "message"),
    [
        (chat(model=None), "model", "model is required"),
        (complete(model=""), "model", "model is required"),
        (embed(model=None), "model", "model is required"),
        (chat(messages=[]), "messages", "[] is too short - 'messages'"),
        (chat(messages=None), "messages", "[] is too short - 'messages'"),
        (chat(messages=[{"role": "user"}]), "messages[0].content", "messages[0].content is required"),
        (user({"type": "text"}), "messages[0].content[0].text", "is required"),
        (user(FILE), "messages[0].content[0].type", 'a content part of type "file" is not supported'),
        (user(AUDIO), "messages[0].content[0].input_audio.data", "it is not WAV, MP3 or FLAC audio"),
        (user({"type": "input_audio"}), "messages[0].content[0].input_audio", "is required"),
        (
            user({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
            "messages[0].content[0].image_url",
            "only http, https and data URLs are read",
        ),
        (chat(messages=[{"role": 1}]), "messages[0].role", "expected string"),
        (chat(messages=[{"content": "hello"}]), "messages[0].role", "missing required field"),
        (chat(tools=[{"function": {}}]), "tools[0].function.name", "missing required field"),
        (chat(stream_options={"include_usage": True}), "stream_options", "when stream is true"),
        (complete(stream=False, stream_options={}), "stream_options", "when stream is true"),
        (chat(temperature="hot"), "temperature", "expected number"),
        (chat(temperature=-1), "temperature", "expected number >= 0"),
        (chat(top_p=1.1), "top_p", "expected number <= 1"),
        (complete(top_p=-0.1), "top_p", "expected number >= 0"),
        (chat(presence_penalty=2.1), "presence_penalty", "expected number <= 2"),
        (complete(frequency_penalty=-3), "frequency_penalty", "expected number >= -2"),
        (chat(max_tokens=4.5), "max_tokens", "expected integer"),
        (chat(max_tokens=1e300), "max_tokens", "integer"),
        (chat(logit_bias={"5": "x"}), "logit_bias", "expected number"),
        (chat(n=0), "n", "between 1 and 128"),
        (chat(n=129), "n", "between 1 and 128"),
        (chat(max_tokens=0), "max_tokens", "at least 1"),
        (chat(max_completion_tokens=-2), "max_completion_tokens", "at least 1"),
        (chat(top_logprobs=2), "top_logprobs", "only allowed when logprobs"),
        (chat(logprobs=True, top_logprobs=21), "top_logprobs", "between 0 and 20"),
        (chat(logit_bias={"5": 101}), "logit_bias", "between -100 and 100"),
        (complete(logit_bias={"-5": 1}), "logit_bias", '"-5" is not'),
        (complete(logit_bias={"9" * 30: 1}), "logit_bias", "by token id"),
        (chat(model="a b"), "model", "invalid model name"),
        (chat(reasoning_effort="some"), "reasoning_effort", 'invalid reasoning value: "some"'),
        (chat(reasoning={"effort": "some"}), "reasoning.effort", 'invalid reasoning value: "some"'),
        (chat(modalities=["text", "audio"]), "modalities", 'invalid modality "audio"'),
        (chat(web_search_options={}), "web_search_options", "models here do not search the web"),
        (chat(response_format={"type": "yaml"}), "response_format.type", 'type "yaml"'),
        (chat(response_format={"type": "json_schema"}), "response_format.json_schema.schema", "missing"),
        (chat(tools=[{"type": "custom"}]), "tools[0].type", 'invalid tool type "custom"'),
        (chat(tools=[{"type": "function"}]), "tools[0].function", "a tool needs a function"),
        (chat(tool_choice="required"), "tool_choice", "only allowed when tools are given"),
        (chat(tools=[TOOL], tool_choice="maybe"), "tool_choice", '"maybe" is not one of'),
        (chat(tools=[TOOL], tool_choice=NAMED), "tool_choice", 'no function "then"'),
        (chat(tools=[TOOL], tool_choice={"type": "mcp"}), "tool_choice", 'type "mcp"'),
        (chat(seed=2**63 - 1, n=2), "seed", "an integer up to 9223372036854775806 for choice 1"),
        (complete(prompt=None), "prompt", "prompt is required"),
        (complete(prompt=[]), "prompt", "prompt is required"),
        (complete(prompt=[1, "x"]), "prompt", "mixes token ids"),
        (complete(prompt=[-1]), "prompt[0]", "expected integer >= 0"),
        (complete(best_of=3), "best_of", "best_of is not supported"),
        (complete(logprobs=21), "logprobs", "between 0 and 20"),
        (complete(logprobs=1, echo=True, suffix="end"), "suffix", "exclude each other"),
        (complete(logprobs=1, echo=True, prompt="long " * 5000), "prompt", "maximum context length is"),
        (complete(prompt=[3, 1_000_000]), "prompt[1]", "token 1000000 at place 1"),
        (embed(input=None), "input", "input is required"),
        (embed(input=[]), "input", "input is required"),
        (embed(encoding_format="hex"), "encoding_format", 'invalid encoding_format "hex"'),
        (embed(dimensions=0), "dimensions", "at least 1"),
    ],
)
def test_a_bad_field_is_named(openai_http: httpx.Client, request_: Request, param: str, message: str):
    path, body = request_
    answer = openai_http.post(f"/v1/{path}", json=body)
    error = told(answer)
    assert answer.status_code == 400
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert message in error["message"]


@pytest.mark.parametrize(
    ("request_", "param", "message"),
    [
        (chat(model="vectors"), "model", '"vectors" does not support chat'),
        (chat(tools=[TOOL]), "tools", "talker:latest does not support tools"),
        (chat(reasoning_effort="high"), "reasoning_effort", '"talker" does not support thinking'),
        (complete(model="vectors"), "model", '"vectors" does not support generate'),
        (complete(suffix="."), "suffix", "talker:latest does not support insert"),
        (embed(model="talker"), "model", '"talker" does not support embeddings'),
        (user({"type": "image_url", "image_url": PNG}), "messages[0].content", "does not support vision"),
        (
            chat(messages=[*HELLO, *user(HEARD)[1]["messages"]]),
            "messages[1].content",
            "does not support audio",
        ),
        (chat(logit_bias={"1000000": 1}), "logit_bias", "1000000"),
        (complete(logit_bias={"1000000": 1}), "logit_bias", "1000000"),
        (chat(response_format=shaped({"type": "hiccup"})), "response_format", "invalid JSON schema"),
        (chat(response_format=shaped({"$ref": "#"})), "response_format", "leads only to itself"),
        (chat(response_format=listed(1)), "response_format", "invalid JSON schema"),
        (chat(model="caller", tools=[LISTED]), "tools", 'its type must be "object"'),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_found_wrong_later_is_named_too(
    openai_http: httpx.Client, request_: Request, param: str, message: str, stream: bool
):
    path, body = request_
    answer = openai_http.post(f"/v1/{path}", json={**body, "stream": stream})
    error = told(answer)
    assert (answer.status_code, error["param"], error["code"]) == (400, param, "invalid_value")
    assert message in error["message"]


@pytest.mark.parametrize("request_", [chat(model="nobody"), complete(model="nobody"), embed(model="nobody")])
def test_a_model_that_is_not_there(openai_http: httpx.Client, request_: Request):
    path, body = request_
    answer = openai_http.post(f"/v1/{path}", json=body)
    error = told(answer)
    assert (answer.status_code, error["code"]) == (404, "model_not_found")
    assert error["message"] == "model 'nobody' not found"


def test_a_damaged_model_is_the_servers_fault(openai_http: httpx.Client):
    path, body = chat(model="broken", n=2)
    answer = openai_http.post(f"/v1/{path}", json=body)
    assert (answer.status_code, told(answer)["type"]) == (500, "server_error")


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings"])
@pytest.mark.parametrize("content", [b"", b"{model", b"[]", b"\xff"])
def test_a_body_that_is_none(openai_http: httpx.Client, path: str, content: bytes):
    answer = openai_http.post(f"/v1/{path}", content=content)
    assert (answer.status_code, told(answer)["type"]) == (400, "invalid_request_error")


def test_a_body_that_says_it_is_huge_is_refused_unread(openai_server: Server):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", openai_server.port), timeout=60) as line:
        line.sendall(head)
        answer = line.recv(4096)
        while not answer.endswith(b"}") and (more := line.recv(4096)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"error":{"message":"request body is longer' in answer


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("POST", "/v1/chat", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/talker", 405, "method_not_allowed"),
    ],
)
def test_unknown_paths_and_methods(openai_http: httpx.Client, method: str, path: str, status: int, code: str):
    answer = openai_http.request(method, path)
    error = told(answer)
    assert (answer.status_code, error["code"]) == (status, code)
    assert f"{method} {path}" in error["message"]


@pytest.mark.parametrize(
    ("path", "n"), [("chat/completions", 1), ("chat/completions", 3), ("completions", 1)]
)
def test_an_error_in_the_middle_of_a_stream_is_its_last_event(openai_server: Server, path: str, n: int):
    _, body = chat(prompt="hello", model="endless", stream=True, n=n)
    with serving(openai_server.models) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        with http.stream("POST", f"/v1/{path}", json=body) as answer:
            received = answer.iter_text()
            text = next(received)
            (engine,) = engines(server)
            engine.kill()
            text += "".join(received)
        *chunks, last, nothing = text.split("\n\n")
        assert nothing == ""
        assert all("choices" in json.loads(chunk.removeprefix("data: ")) for chunk in chunks)
        error = json.loads(last.removeprefix("data: "))["error"]
        assert (error["type"], set(error)) == ("server_error", {"message", "type", "param", "code"})
        # The server lives, and loads the model again.
        again = http.post(f"/v1/{path}", json={**body, "stream": False, "max_tokens": 1})
        assert again.status_code == 200
