"""POST /api/push, and the whole way of a model: pushed, removed, pulled, run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from puna.library import Library
from tests.registries import registry
from tests.running import Server


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


def test_a_model_that_was_pushed_removed_and_pulled_answers_as_before(
    server: Server, hub: str, add_scripted: Callable[..., list[bytes]]
):
    name = f"{hub}/me/talker:v1"
    add_scripted(name, "Once upon a time.")

    def answer() -> str:
        body = {"model": name, "prompt": "?", "stream": False, "options": {"temperature": 0}}
        return httpx.post(f"{server.url}/api/generate", json=body, timeout=60).json()["response"]

    def told(verb: str) -> list[dict]:
        body = {"model": name, "insecure": True}
        reply = httpx.post(f"{server.url}/api/{verb}", json=body, timeout=60)
        assert reply.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in reply.text.splitlines()]

    def manifest() -> bytes:
        return Path(f"{server.models}/manifests/{hub}/me/talker/v1").read_bytes()

    before, layers, written = answer(), Library(server.models).open(name).layers, manifest()
    steps = told("push")
    assert steps[0] == {"status": "retrieving manifest"}
    assert steps[-2:] == [{"status": "pushing manifest"}, {"status": "success"}]
    for layer in layers:
        done = {"status": f"pushing {layer.digest[7:19]}", "digest": layer.digest, "total": layer.size}
        assert {**done, "completed": layer.size} in steps
    gone = httpx.request("DELETE", f"{server.url}/api/delete", json={"model": name})
    assert gone.status_code == 200
    assert not Library(server.models).blobs.path(layers[0].digest).exists()
    assert told("pull")[-1] == {"status": "success"}
    assert manifest() == written
    assert answer() == before == "Once upon a time."


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "model is required"),
        ({"model": "a b"}, 400, "invalid model name"),
        ({"model": "me/nothing", "stream": False}, 404, "model 'me/nothing:latest' not found"),
        ({"model": "http://127.0.0.1:9/a/b", "stream": False}, 400, "insecure protocol http"),
    ],
)
def test_what_cannot_be_pushed_is_said(http: httpx.Client, body: dict, status: int, message: str):
    answer = http.post("/api/push", json=body)
    assert (answer.status_code, answer.json()) == (status, {"error": message})


def test_a_refusal_comes_in_the_stream(server: Server, add_scripted: Callable[..., list[bytes]]):
    name = "127.0.0.1:9/me/talker"
    add_scripted(name, "x")
    reply = httpx.post(f"{server.url}/api/push", json={"model": name, "insecure": True}, timeout=60)
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert lines[0] == {"status": "retrieving manifest"}
    assert "cannot reach 127.0.0.1:9: Connection refused" in lines[1]["error"]
