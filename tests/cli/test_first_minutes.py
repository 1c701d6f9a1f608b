"""What a newcomer hears first, from the starter model itself."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ollama
import pytest

from tests.running import Server, serving


@pytest.fixture(scope="module")
def server(starters: Path) -> Iterator[Server]:
    with serving(starters) as running:
        yield running


@pytest.mark.parametrize(
    ("question", "expected", "length", "times"),
    [
        ("Why is the sky blue?", "scatter", 60, 4),
        ("What is the capital of France?", "The capital of France is Paris.", 12, 20),
        ("What is 2+2?", "4", 16, 20),
        ("Hello", "How can I assist you today?", 12, 20),
    ],
)
def test_the_starter_answers_sensibly_every_time(
    server: Server, question: str, expected: str, length: int, times: int
):
    client = ollama.Client(server.url)

    def answer(_: int) -> str:
        return client.generate("smollm2:135m", question, options={"num_predict": length}).response or ""

    with ThreadPoolExecutor(4) as asking:
        answers = list(asking.map(answer, range(times)))
    assert all(expected in one for one in answers), answers


def test_what_the_starter_writes_ends(server: Server):
    answer = ollama.Client(server.url).generate("smollm2:135m", "Tell me a story about a dragon.")
    assert 100 < (answer.eval_count or 0) <= 1024
