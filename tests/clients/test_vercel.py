"""The Vercel AI SDK on Node, through its providers for Ollama, for OpenAI-like servers and for OpenAI."""

from __future__ import annotations

import json

import pytest

from tests.clients.actors import REASONING
from tests.clients.conftest import FORECAST, HELLO
from tests.clients.test_guide import HERE, output
from tests.running import Server

PARIS, TOKYO = {"city": "Paris", "days": 2}, {"city": "東京", "days": 1}


@pytest.fixture(scope="module")
def all_seen(guide_server: Server) -> dict:
    return json.loads(output(["node", str(HERE / "vercel.mjs")], guide_server, AI_SDK_LOG_WARNINGS="false"))


@pytest.fixture(params=["ollama", "compatible", "responses"])
def seen(request: pytest.FixtureRequest, all_seen: dict) -> dict:
    return all_seen[request.param]


def test_text(seen: dict):
    assert seen["generated"]["text"] == HELLO
    assert seen["generated"]["reason"] == "stop"
    assert seen["generated"]["tokens"] >= len(HELLO)


def test_streamed_text(seen: dict):
    assert len(seen["parts"]) > 1
    assert "".join(seen["parts"]) == HELLO
    assert seen["streamedTokens"] == seen["generated"]["tokens"]


def test_reasoning(seen: dict):
    assert seen["thought"] == {"reasoning": REASONING, "text": "Blue."}


def test_a_second_turn(seen: dict):
    assert seen["next"] == "Blue."


def test_tools_are_called_and_their_answers_read(seen: dict):
    assert seen["agent"]["steps"] == ["tool-calls", "stop"]
    for agent in (seen["agent"], seen["streamedAgent"]):
        assert (agent["text"], agent["given"]) == (FORECAST, [PARIS, TOKYO])


def test_objects(seen: dict):
    assert seen["object"] == seen["output"] == seen["objects"][-1] == PARIS


def test_embeddings(seen: dict):
    assert seen["vectors"] == [384, 384]


def test_an_unknown_model_is_an_error_with_its_status(seen: dict):
    refused = seen["refused"]
    assert (refused["name"], refused["status"]) == ("AI_APICallError", 404)
    assert "no-such-model" in refused["body"]
