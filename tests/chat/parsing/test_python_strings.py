"""Strings in Python's notation, where models forget escapes (vLLM's lfm2 tool parser repairs the same)."""

from __future__ import annotations

import pytest

from puna.chat import Exchange
from puna.types import Message
from tests.chat.families import family
from tests.chat.grammars.walking import admitted

from .reading import TOOLS, called, content, parsed


def calling(value: str, after: str = ", days=3)]") -> str:
    return f"<|tool_call_start|>[forecast(zone={value}{after}<|tool_call_end|>"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'I'm here'", "I'm here"),
        ("'sed -n '1,9p' f.py'", "sed -n '1,9p' f.py"),
        ("'He said 'hi''", "He said 'hi'"),
        ('"She said "hi" to him"', 'She said "hi" to him'),
        ("'two\nlines\tand a tab'", "two\nlines\tand a tab"),
        ("'f(a, b)] {c}: d'", "f(a, b)] {c}: d"),
        ("''", ""),
        (r"'it\'s \\ \u00e9\n'", "it's \\ é\n"),
        ('"it\'s"', "it's"),
        (r"'\d+ \. C:\temp \/'", "\\d+ \\. C:\temp /"),
    ],
)
def test_a_quote_within_a_string_is_part_of_it(written: str, value: str):
    text = calling(written)
    expected = called(("forecast", {"zone": value, "days": 3}))
    for end in range(len(text)):
        assert parsed("lfm2", text[:end], text[end:]) == expected
    exchange = Exchange(family("lfm2"), "", Message(role="user"), tools=TOOLS)
    grammar = exchange.grammar()
    assert grammar
    assert admitted(grammar, text)
    assert admitted(grammar, text, exchange.visible)


@pytest.mark.parametrize("after", [" days=3)]", "days=3)]", ""])
def test_a_string_ends_only_before_what_may_follow_one(after: str):
    text = calling("'Oslo'", after)
    assert parsed("lfm2", text) == content(text)
    assert parsed("lfm2", *text) == content(text)
