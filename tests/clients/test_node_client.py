"""The official JavaScript client: streaming, abort, embeddings, errors."""

from __future__ import annotations

import json
import math

import pytest

from tests.clients.conftest import SCRIPT
from tests.clients.test_guide import HERE, output
from tests.running import Server


@pytest.fixture(scope="module")
def seen(guide_server: Server) -> dict:
    return json.loads(output(["node", str(HERE / "conversation.mjs")], guide_server))


def test_streamed_parts_are_the_answer(seen: dict):
    *parts, last = seen["streamed"]
    assert [part["message"]["content"] for part in parts if part["message"]["content"]] == SCRIPT
    assert last["done_reason"] == "stop"
    assert last["eval_count"] >= len(SCRIPT)


def test_an_aborted_stream_ends_for_the_client(seen: dict):
    assert seen["aborted"]["error"] == "AbortError"
    assert seen["aborted"]["parts"] >= 3


def test_embeddings(seen: dict):
    vectors = seen["embedded"]["embeddings"]
    assert [len(vector) for vector in vectors] == [384, 384]
    assert math.hypot(*vectors[0]) == pytest.approx(1, abs=1e-4)


def test_list(seen: dict):
    assert {"qwen3:latest", "qwen3-embedding:latest", "smollm2:135m"} <= set(seen["tags"])


def test_an_unknown_model_is_an_error_with_its_status(seen: dict):
    assert seen["refused"] == {
        "name": "ResponseError",
        "status": 404,
        "message": "model 'no-such-model' not found",
    }
