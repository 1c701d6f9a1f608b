"""Reasoning that clients send back within the text of earlier turns."""

from __future__ import annotations

import pytest

from puna.chat import without_thinking
from puna.types import Message


def conversation(*contents: str) -> list[Message]:
    roles = ("user", "assistant")
    return [Message(role=roles[at % 2], content=content) for at, content in enumerate(contents)]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("<think>\nHm.\n</think>\n\nBlue.", "Blue."),
        ("  <think></think>Blue.", "Blue."),
        ("Blue.", "Blue."),
        ("<think>Hm.", "<think>Hm."),
        ("I write <think>Hm.</think>.", "I write <think>Hm.</think>."),
    ],
)
def test_an_earlier_answer_is_seen_without_the_reasoning_before_it(said: str, left: str):
    messages = without_thinking(conversation("Why?", said, "<think>me</think>", said))
    assert [message.content for message in messages] == ["Why?", left, "<think>me</think>", said]


def test_the_messages_of_a_request_stay_as_they_are():
    messages = conversation("Why?", "<think>Hm.</think>Blue.", "And?")
    assert without_thinking(messages) != messages
    assert messages[1].content == "<think>Hm.</think>Blue."
