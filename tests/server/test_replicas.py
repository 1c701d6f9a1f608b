"""A model in two engines, as its clients see it: one model, whose conversations stay where they were read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.faults.injecting import Asked, engines, measure, until
from tests.models import install, scripted_model
from tests.running import Server, serving
from tests.server.two_cards import NAMES

ABOUT = ("cats", "dogs", "birds", "bees")
CACHED = 'puna_cached_prompt_tokens_total{model="m:latest"}'

Messages = list[dict[str, str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replicas")
    # So long a context that no endless answer fills it and pushes its prompt out.
    scripted_model(folder / "m", "on and ", endless=True, context_length=1 << 16)
    install(folder / "models", "m", folder / "m", parameters={"replicas": 2, "num_ctx": 1 << 16})
    return folder / "models"


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    """With both engines loaded; what one has read, it alone has."""
    with serving(store, program="tests.server.two_cards", OLLAMA_NUM_PARALLEL="4", PUNA_CACHE="0") as running:
        asked(running, [{"role": "user", "content": "Go"}])
        both(running)
        yield running


def both(server: Server) -> list[psutil.Process]:
    """The engines, once there are two."""
    until(lambda: [model.get("replicas") for model in listed(server)] == [2])
    return engines(server)


def listed(server: Server) -> list[dict[str, Any]]:
    return httpx.get(f"{server.url}/api/ps", timeout=60).json()["models"]


def body(messages: Messages, most: int, *, stream: bool) -> dict[str, Any]:
    return {"model": "m", "messages": messages, "stream": stream, "options": {"num_predict": most}}


def asked(server: Server, messages: Messages) -> float:
    """How much of this prompt had been read where it was answered, from 0 to 1."""
    before = measure(server, CACHED) if listed(server) else 0
    answer = httpx.post(f"{server.url}/api/chat", json=body(messages, 6, stream=False), timeout=120)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["message"]["content"].strip() == "on and on and"
    return (measure(server, CACHED) - before) / told["prompt_eval_count"]


def conversation(about: str) -> Messages:
    """Long enough to be worth waiting for where it was read."""
    return [
        {"role": "system", "content": f"About {about}. " * 700},
        {"role": "user", "content": "Well?"},
    ]


def turn(messages: Messages) -> Messages:
    return [*messages, {"role": "assistant", "content": "So."}, {"role": "user", "content": "And then?"}]


class Endless(threading.Thread):
    """An answer that goes on until it is left, or its engine dies."""

    def __init__(self, server: Server, messages: Messages) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.leave = threading.Event()
        self._url, self._body = f"{server.url}/api/chat", body(messages, 1 << 30, stream=True)

    def run(self) -> None:
        with httpx.stream("POST", self._url, json=self._body, timeout=120) as answer:
            for line in answer.iter_lines():
                self.lines.append(json.loads(line))
                if self.leave.is_set():
                    return

    def goes_on(self) -> bool:
        """Waits for more of it; false where there is none."""
        seen = len(self.lines)
        until(lambda: len(self.lines) > seen + 20 or not self.is_alive())
        return self.is_alive()


@contextmanager
def talking(server: Server, conversations: list[Messages]) -> Iterator[list[Endless]]:
    """Answers to them all, at once; at the end nobody listens any more."""
    answers = [Endless(server, messages) for messages in conversations]
    try:
        for answer in answers:
            answer.start()
            # One by one, so that each finds those before it under way.
            until(lambda answer=answer: answer.lines)
        yield answers
    finally:
        for answer in answers:
            answer.leave.set()
            answer.join(timeout=60)
    until(lambda: not measure(server, "puna_http_requests_running"))


def test_they_are_one_model_on_two_devices_until_it_is_unloaded(server: Server):
    found = httpx.get(f"{server.url}/api/devices", timeout=60).json()
    assert [device["name"] for device in found["devices"]] == list(NAMES)
    placed = [line.split(" on ")[1].split()[0] for line in server.log if "placing m:latest" in line]
    assert sorted(placed) == sorted(NAMES)
    (model,) = listed(server)
    there = engines(server)
    assert len(there) == 2
    body = {"model": "m", "messages": [], "keep_alive": 0}
    assert httpx.post(f"{server.url}/api/chat", json=body, timeout=60).json()["done_reason"] == "unload"
    assert listed(server) == []
    until(lambda: not any(engine.is_running() for engine in there))
    # One engine alone is about half of it.
    alone = {"model": "m", "prompt": "", "options": {"replicas": 1}}
    assert httpx.post(f"{server.url}/api/generate", json=alone, timeout=120).status_code == 200
    (single,) = listed(server)
    assert "replicas" not in single
    assert 1.9 < model["size"] / single["size"] < 2.1


def test_each_conversation_stays_where_it_was_read_and_only_the_dead_engines_go_elsewhere(server: Server):
    first, second = both(server)
    conversations = [conversation(about) for about in ABOUT]
    with talking(server, conversations) as answers:
        assert all(answer.goes_on() for answer in answers)
    # In another order, in which engines that took turns would mix them up.
    later = [turn(messages) for messages in conversations[::2] + conversations[1::2]]
    assert all(asked(server, messages) > 0.8 for messages in later)

    with talking(server, later) as answers:
        first.kill()
        until(lambda: sum(not answer.is_alive() for answer in answers) == 2)
        lost = [not answer.goes_on() for answer in answers]
    assert sum(lost) == 2
    for answer, is_lost in zip(answers, lost, strict=True):
        *said, last = answer.lines
        assert all(line["message"]["content"] for line in said)
        assert ("SIGKILL" in last.get("error", "")) == is_lost

    assert second.is_running()
    shares = [asked(server, turn(messages)) for messages in later]
    assert [share < 0.2 for share in shares] == lost
    assert [share > 0.8 for share in shares] == [not gone for gone in lost]
    replaced = both(server)
    assert second.pid in {engine.pid for engine in replaced}
    assert first.pid not in {engine.pid for engine in replaced}


def test_an_answer_that_had_not_begun_is_given_by_the_other_engine(server: Server):
    first, second = both(server)
    first.suspend()
    waiting = [Asked(server, "/api/chat", body(conversation(about), 6, stream=False)) for about in ABOUT[:2]]
    until(lambda: measure(server, "puna_http_requests_running") == 1)
    first.kill()
    told = [asking.answer.json() for asking in waiting]
    assert [one["message"]["content"].strip() for one in told] == ["on and on and"] * 2
    assert second.is_running()
    assert measure(server, "puna_engine_failures_total") == 1
