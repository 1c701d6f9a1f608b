"""What a body's fields are to inference."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from puna.server.body import decode
from puna.server.openai.requests import ChatCompletionRequest

PLAIN = {"temperature": 1.0, "top_p": 1.0}


def options(choice: int = 0, **fields: Any) -> dict[str, Any]:
    body = decode(msgspec.json.encode(fields), ChatCompletionRequest)
    return {name: value for name, value in body.options(choice).items() if value is not None}


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({}, {}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"top_k": 20, "min_p": 0.05}, {"top_k": 20, "min_p": 0.05}),
        ({"repetition_penalty": 1.1}, {"repeat_penalty": 1.1}),
        ({"repetition_penalty": 1.1, "repeat_penalty": 1.2}, {"repeat_penalty": 1.2}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"max_tokens": 5}, {"num_predict": 5}),
        ({"max_tokens": 5, "max_completion_tokens": -1}, {"num_predict": -1}),
        ({"frequency_penalty": 1, "presence_penalty": -1}, {"frequency_penalty": 1, "presence_penalty": -1}),
    ],
)
def test_options(fields: dict[str, Any], more: dict[str, Any]):
    assert options(**fields) == PLAIN | more


def test_each_answer_has_a_seed_of_its_own():
    assert [options(choice, seed=7)["seed"] for choice in range(3)] == [7, 8, 9]
    assert [options(choice).get("seed") for choice in range(3)] == [None, -1, -1]
