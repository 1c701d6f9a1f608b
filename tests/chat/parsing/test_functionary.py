"""Functionary's recipients: `>>>` also occurs in text."""

from __future__ import annotations

import pytest

from puna.chat.parsing import Part
from puna.types import Message
from tests.chat.grammars.asked import held
from tests.chat.grammars.offered import TOOLS
from tests.chat.grammars.walking import admitted

from .reading import NOW, called, content, parsed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all\nHi", content("Hi")),
        ("now\n{}", called(NOW)),
        ("all\nSo:>>>now\n{}>>>all\nDone.", [*content("So:"), *called(NOW), *content("Done.")]),
        ("all\n>>> print(1)\n>>>1", content(">>> print(1)\n>>>1")),
        ("nowhere", content("nowhere")),
        ("Hi", content("Hi")),
    ],
)
def test_only_known_recipients_count(text: str, expected: list[Part]):
    assert parsed("functionary", text) == expected
    assert parsed("functionary", *text) == expected


def test_without_tools_text_is_still_to_all():
    assert parsed("functionary", "all\nHi>>>now\n{}", tools=[]) == content("Hi>>>now\n{}")


def test_an_answer_that_is_continued_begins_without_a_recipient():
    last = Message(role="assistant", content="It is")
    assert parsed("functionary", "all\nthere.>>>now\n{}", last=last) == [
        *content("all\nthere."),
        *called(NOW),
    ]


def test_the_grammar_holds_calls_after_text():
    made = held("functionary", tools=TOOLS)
    assert admitted(made, "all\nSo: >>>1", ())
    assert admitted(made, "all\nSo:\n>>>now\n{}", ())
    assert not admitted(made, "all\nSo:\n>>>now\n5", ())
    assert not admitted(held("functionary", tools=TOOLS, required=True), "all\nSo", ())
