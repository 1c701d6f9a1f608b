"""Each family's notation: calls, text and reasoning in every order and every chunking."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from puna.chat.parsing import Called, Content

from .reading import FORECAST, NOW, called, content, parsed, parser, thought
from .written import WRITTEN, Written

MESSAGES = ("glimmer", "harmony")
"""Families whose calls are messages to recipients, never text."""


def each(those: Callable[[Written], object] = lambda written: True) -> pytest.MarkDecorator:
    """For each family that `those` holds for."""
    return pytest.mark.parametrize("written", [*filter(those, WRITTEN)], ids=str)


def in_every_chunking(written: Written, text: str, **asked):
    """The parts of `text`, the same cut anywhere and letter by letter."""
    whole = parsed(written.family, text, **asked)
    assert parsed(written.family, *text, **asked) == whole
    for cut in range(1, len(text)):
        assert parsed(written.family, text[:cut], text[cut:], **asked) == whole, cut
    return whole


@each()
def test_one_call(written: Written):
    parts = in_every_chunking(written, written.calls([FORECAST]))
    assert parts == called(FORECAST)
    assert isinstance(parts[0], Called)
    assert list(parts[0].arguments) == list(FORECAST[1])
    assert type(parts[0].arguments["points"][0]) is int


@each()
def test_two_calls(written: Written):
    assert in_every_chunking(written, written.calls([NOW, FORECAST])) == called(NOW, FORECAST)


@each(lambda written: written.between)
def test_text_before_and_behind_calls(written: Written):
    before, behind = (
        f"{written.text[0]}{text}{written.text[1]}" for text in ("Let me see.", "There you are.")
    )
    text = written.between.join([before, written.calls([NOW]), behind])
    assert in_every_chunking(written, text) == [
        Content("Let me see."),
        *called(NOW),
        Content("\nThere you are."),
    ]


@each(lambda written: written.between and not written.text[0] and written.family not in MESSAGES)
@pytest.mark.parametrize(("before", "behind"), [("\n", "\n\n"), ("\n\n", ""), ("\n", " "), ("\n", "\n")])
def test_text_stands_apart_as_it_did_around_a_call(written: Written, before: str, behind: str):
    parts = in_every_chunking(written, f"First:{before}{written.calls([NOW])}{behind}Done.")
    gap = max(before, behind, key=lambda space: space.count("\n"))
    said = "".join(part.text for part in parts if isinstance(part, Content))
    assert (said, [part for part in parts if isinstance(part, Called)]) == (f"First:{gap}Done.", called(NOW))


@each(lambda written: written.think)
def test_reasoning_then_text_then_a_call(written: Written):
    assert written.think
    reasoning = f"{written.think[0]}Weather?\n\n<b> A tool.{written.think[1]}"
    text = f"{written.text[0]}Let me see.{written.text[1]}"
    answer = f"{reasoning}{text}{written.between}{written.calls([NOW])}"
    expected = [*thought("Weather?\n\n<b> A tool."), *content("Let me see."), *called(NOW)]
    assert in_every_chunking(written, answer, think=True) == expected
    assert in_every_chunking(written, answer) == expected


@each()
def test_a_broken_call_is_content_unchanged(written: Written):
    for text in (written.broken, f"{written.broken}\nfrom here on text "):
        assert in_every_chunking(written, text) == content(text)


@each(lambda written: "<tool_call>" in written.broken and written.family not in ("glm", "gemma4"))
def test_a_call_behind_a_broken_one_is_a_call(written: Written):
    parts = in_every_chunking(written, f"{written.broken}{written.calls([NOW])}")
    assert parts == [*content(written.broken), *called(NOW)]


@each()
def test_a_call_cut_short_is_content_unchanged_or_complete(written: Written):
    text = written.calls([FORECAST]).removesuffix("<|call|>").removesuffix("<|eom|>")
    text = text.removeprefix("<|start|>assistant to=forecast<|message|>")
    for end in range(len(text)):
        parts = parsed(written.family, text[:end])
        if re.search(r"</(longcat_)?arg_value(:\w+)?>\s*(</[\w:]*)?$", text[:end]):
            continue  # the outer tag may be missing
        assert parts in (called(FORECAST), content(text[:end])), text[:end]


@each()
def test_of_a_call_that_is_cut_nothing_is_text(written: Written):
    """At most what might be text: a few letters of a marker, an object before its name. If it must be a call,
    not even that."""
    text = written.calls([FORECAST, NOW])
    for end in range(len(text)):
        required = parsed(written.family, text[:end], cut=True, required=True)
        if written.family not in MESSAGES:
            assert parsed(written.family, f" \n{text[:end]}", cut=True, required=True) == required
        assert required in ([], called(FORECAST), called(FORECAST, NOW)), text[:end]
        parts = parsed(written.family, text[:end], cut=True)
        assert parsed(written.family, *text[:end], cut=True) == parts
        said = "".join(part.text for part in parts if isinstance(part, Content))
        assert [part for part in parts if isinstance(part, Called)] == required
        assert len(said) < (12 if text[0] in "<[" and written.between else 20), (text[:end], said)


@each(lambda written: written.family not in MESSAGES)
def test_without_tools_calls_are_text(written: Written):
    text = written.calls([FORECAST])
    assert parsed(written.family, text, tools=[]) == content(text)


@each()
def test_a_call_comes_as_soon_as_it_is_complete(written: Written):
    """The first of two calls is out before the second has begun."""
    reading = parser(written.family)
    both = written.calls([FORECAST, NOW])
    second = both.rindex("now")
    if written.family in MESSAGES:
        second = both.rindex("<|start|>")
    parts = [part for letter in both[:second] for part in reading.feed(letter)]
    assert Called(*FORECAST) in parts
