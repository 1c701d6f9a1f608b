"""A model that thinks, in a session: what is shown of it, how it is switched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Recorded, Refusal
from tests.cli.person import Person, answer


def thoughts(*pieces: str) -> list[dict[str, Any]]:
    return [
        {"model": "m", "message": {"role": "assistant", "content": "", "thinking": piece}, "done": False}
        for piece in pieces
    ]


@pytest.fixture
def thinking(chatting: dict[str, str], recorded: Recorded) -> dict[str, str]:
    """A server whose model thinks unless told not to."""

    def answer_after_thought(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if body.get("think"):
            yield from thoughts("Let me ", "see.")
        if body["messages"][-1]["content"] == "go on":
            while True:
                time.sleep(0.01)
                yield from thoughts(" and")
        yield from answer(body)

    recorded.answers["/api/show"] = lambda _: {"capabilities": ["completion", "thinking"]}
    recorded.answers["/api/chat"] = answer_after_thought
    return chatting


def test_thinking_is_shown_as_ollama_shows_it(thinking: dict[str, str], recorded: Recorded):
    person = Person(thinking)
    person.asks("hello", "Thinking...")
    person.sees("You said hello")
    # Grey and bold are Ollama's, and nothing of them is left when the answer begins.
    shown = (person.terminal.before or "").replace("\r", "")
    assert shown.startswith(
        "\n\x1b[0m\x1b[38;5;245mLet me see.\n\x1b[38;5;245m\x1b[1m...done thinking.\n\n\x1b[0m"
    )
    person.asks("/set nothink", "Set 'nothink' mode.")
    assert "Thinking" not in person.asks("again", "You said again")
    person.asks("/set think high", "Set 'think' mode to 'high'.")
    person.asks("go on", "see. and and")
    person.terminal.sendintr()
    person.sees("\x1b[0m")
    person.says_bye()
    asked = recorded.bodies("/api/chat")
    assert [body["think"] for body in asked] == [True, False, "high"]
    assert asked[1]["messages"][1] == {
        "role": "assistant",
        "content": "You said hello",
        "thinking": "Let me see.",
    }
    assert recorded.bodies("/api/generate")[0]["think"] is True


def test_no_color_leaves_the_words(thinking: dict[str, str]):
    person = Person(thinking | {"NO_COLOR": "1"})
    person.asks("hello", "Thinking...")
    person.sees("You said hello")
    shown = (person.terminal.before or "").replace("\r", "")
    assert shown == "\nLet me see.\n...done thinking.\n\n"
    person.says_bye()


def test_hidden_thinking(thinking: dict[str, str]):
    person = Person(thinking, "--hidethinking")
    assert "Let me see" not in person.asks("hello", "You said hello")
    person.says_bye()


def test_a_model_that_cannot_think(chatting: dict[str, str], recorded: Recorded):
    def refuses(body: dict[str, Any]) -> Any:
        if body.get("think"):
            raise Refusal(400, '"m" does not support thinking')
        return answer(body)

    recorded.answers["/api/chat"] = refuses
    person = Person(chatting)
    said = person.asks("/set think", "Set 'think' mode.")
    assert 'warning: model "m" does not support thinking output' in said
    person.asks("hello", 'error: "m" does not support thinking')
    person.asks("/set nothink", "Set 'nothink' mode.")
    person.asks("again", "You said again")
    person.says_bye()
    assert [len(body["messages"]) for body in recorded.bodies("/api/chat")] == [1, 1]
