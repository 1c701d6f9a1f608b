"""Each family's notation: calls, text and reasoning in every order and every chunking."""

from __future__ import annotations

import re

import pytest

from puna.chat.parsing import Called, Content

from .written import FORECAST, NOW, WRITTEN, Written, called, content, parsed, parser, thought

each_family = pytest.mark.parametrize("written", WRITTEN, ids=str)


def in_every_chunking(written: Written, text: str, **asked):
    """The parts of `text`, the same cut anywhere and letter by letter."""
    whole = parsed(written.family, text, **asked)
    assert parsed(written.family, *text, **asked) == whole
    for cut in range(1, len(text)):
        assert parsed(written.family, text[:cut], text[cut:], **asked) == whole, cut
    return whole


@each_family
def test_one_call(written: Written):
    parts = in_every_chunking(written, written.calls([FORECAST]))
    assert parts == called(FORECAST)
    assert isinstance(parts[0], Called)
    assert list(parts[0].arguments) == list(FORECAST[1])
    assert type(parts[0].arguments["points"][0]) is int


@each_family
def test_two_calls(written: Written):
    assert in_every_chunking(written, written.calls([NOW, FORECAST])) == called(NOW, FORECAST)


@each_family
def test_text_before_and_behind_calls(written: Written):
    if not written.between:
        pytest.skip("calls stand alone or text is in messages of its own")
    before, behind = (
        f"{written.text[0]}{text}{written.text[1]}" for text in ("Let me see.", "There you are.")
    )
    text = written.between.join([before, written.calls([NOW]), behind])
    assert in_every_chunking(written, text) == [
        Content("Let me see."),
        *called(NOW),
        Content("There you are."),
    ]


@each_family
def test_reasoning_then_text_then_a_call(written: Written):
    if not written.think:
        pytest.skip("no reasoning")
    reasoning = f"{written.think[0]}Weather?\n\n<b> A tool.{written.think[1]}"
    text = f"{written.text[0]}Let me see.{written.text[1]}"
    answer = f"{reasoning}{text}{written.between}{written.calls([NOW])}"
    expected = [*thought("Weather?\n\n<b> A tool."), *content("Let me see."), *called(NOW)]
    assert in_every_chunking(written, answer, think=True) == expected
    assert in_every_chunking(written, answer) == expected


@each_family
def test_a_broken_call_is_content_unchanged(written: Written):
    for text in (written.broken, f"{written.broken}\nfrom here on text "):
        assert in_every_chunking(written, text) == content(text)


@each_family
def test_a_call_behind_a_broken_one_is_a_call(written: Written):
    if "<tool_call>" not in written.broken or written.family in ("glm", "gemma4"):
        pytest.skip("the broken call has no end to recognise")
    parts = in_every_chunking(written, f"{written.broken}{written.calls([NOW])}")
    assert parts == [*content(written.broken), *called(NOW)]


@each_family
def test_a_call_cut_short_is_content_unchanged_or_complete(written: Written):
    text = written.calls([FORECAST]).removesuffix("<|call|>").removesuffix("<|eom|>")
    text = text.removeprefix("<|start|>assistant to=forecast<|message|>")
    for end in range(len(text)):
        parts = parsed(written.family, text[:end])
        if written.family in ("glm", "laguna") and re.search(r"</arg_value>\s*(</\w*)?$", text[:end]):
            continue  # the outer tag may be missing
        assert parts in (called(FORECAST), content(text[:end])), text[:end]


@each_family
def test_without_tools_calls_are_text(written: Written):
    if written.family in ("harmony", "glimmer"):
        pytest.skip("messages to recipients are never text")
    text = written.calls([FORECAST])
    assert parsed(written.family, text, tools=[]) == content(text)


@each_family
def test_a_call_comes_as_soon_as_it_is_complete(written: Written):
    """The first of two calls is out before the second has begun."""
    reading = parser(written.family)
    both = written.calls([FORECAST, NOW])
    second = both.rindex("now")
    if written.family in ("glimmer", "harmony"):
        second = both.rindex("<|start|>")
    parts = [part for letter in both[:second] for part in reading.feed(letter)]
    assert Called(*FORECAST) in parts
