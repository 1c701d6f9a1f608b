"""What holds for any answer in any pieces."""

from __future__ import annotations

import sys
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat.families import FAMILIES
from puna.chat.parsing import Called, Content

from .reading import NOW, fed, merged, parsed, parser
from .written import WRITTEN

NAMES = [*(family.variants[0].name for family in FAMILIES), "generic"]
families = st.sampled_from(NAMES)
PIECES = [
    *sorted({piece for family in FAMILIES for piece in family.format.special}),
    *(text for written in WRITTEN for text in (written.broken, *written.text, *(written.think or ()))),
    *(written.calls(calls) for written in WRITTEN for calls in ([NOW], [NOW, NOW])),
    *'{}[]()<>",;:= \n\\',
    '{"name": "now"',
    "<function=now>",
    "<parameter=zone>",
    "now",
    "to=functions.now",
    "assistant",
    "analysis",
    "```json",
    '\n{"name": "now", "arguments": {}}',
    ' [{"name": "now", "arguments": {}}]',
    "<user>now\n</user>",
    "<tools>",
    " to=now<|message|>",
]
answers = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=12).map("".join)


@given(family=families, answer=answers, data=st.data())
@settings(max_examples=600, deadline=None)
def test_the_pieces_do_not_matter(family: str, answer: str, data: st.DataObject):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)), max_size=6)))
    edges = [0, *cuts, len(answer)]
    pieces = [answer[one:other] for one, other in pairwise(edges)]
    think = data.draw(st.sampled_from([None, True, False]))
    prompt = data.draw(st.sampled_from(["", "<think>\n", "<|start|>assistant", "[THINK]"]))
    whole = parsed(family, answer, think=think, prompt=prompt)
    assert parsed(family, *pieces, think=think, prompt=prompt) == whole
    assert parsed(family, *answer, think=think, prompt=prompt) == whole


@given(
    family=families, text=st.text(alphabet=st.characters(exclude_characters="<[{", exclude_categories=["Cs"]))
)
@settings(max_examples=300, deadline=None)
def test_plain_text_is_itself(family: str, text: str):
    assert "".join(part.text for part in parsed(family, *text) if isinstance(part, Content)) == text


@given(family=families, answer=answers)
@settings(max_examples=300, deadline=None)
def test_parts_can_be_sent(family: str, answer: str):
    for part in parsed(family, answer):
        msgspec.json.encode(part)


@pytest.mark.parametrize("family", NAMES)
def test_ordinary_text_comes_at_once(family: str):
    reading = parser(family)
    for word in ("Two", " words", " are", " 2 < 3", " or", " a[0],", " x"):
        held = "".join(part.text for part in reading.feed(word) if isinstance(part, Content))
        assert held.strip() == word.strip()


def test_a_marker_is_held_no_longer_than_it_can_be_one():
    reading = parser("hermes")
    assert reading.feed("a <tool") == [Content("a")]
    assert reading.feed("_box") == [Content(" <tool_box")]


def test_an_answer_in_json_is_held_no_longer_than_it_can_be_a_call():
    reading = parser("llama3")
    assert reading.feed('{"na') == []
    assert reading.feed('tion": ') == [Content('{"nation":')]
    assert merged(fed(parser("llama3"), '{"name": "Ada", "born": 1815}')) == [
        Content('{"name": "Ada", "born": 1815}')
    ]


FOR_LONG = ["hermes", "qwen3-coder", "llama3", "mistral", "glm", "gemma4", "harmony", "kimi-k2", "laguna"]
LONG = {
    "text": "word < [ { word\n" * 2000,
    "white space": " " * 30_000,
    "beginnings of markers": "<tool_call" * 3000,
    "one call": WRITTEN[0].calls([("now", {"zone": 'x\\" }' * 6000})]),
    "no call": '<tool_call>{"name": "' + "x" * 30_000,
    "many calls": WRITTEN[0].calls([NOW]) * 500,
    "markers alone": "<tool_call>" * 3000,
    "brackets": "<tool_call>" + "[{" * 15_000,
    "objects in text": ' {"name": "now", "arguments": {}' * 1500,
    "blocks of code": "\n```json\n[{" * 3000,
    "functions": "<function=now><parameter=zone>" + "x < y" * 6000,
}


@pytest.mark.parametrize("family", FOR_LONG)
@pytest.mark.parametrize("answer", LONG.values(), ids=LONG)
def test_work_is_linear(family: str, answer: str):
    """Letter by letter, the characters looked at are few for each that came."""
    reading = parser(family)
    fed(reading, *answer)
    assert reading.source.work < 40 * len(answer)


@pytest.mark.parametrize("family", ["hermes", "mistral"])
def test_numbers_and_characters_that_cannot_be_sent_make_no_call(family: str):
    for value in ("NaN", r'"\ud800"', "[" * 200 + "]" * 200):
        text = f'{{"name": "now", "arguments": {{"zone": {value}}}}}'
        text = f"<tool_call>{text}</tool_call>" if family == "hermes" else f"[TOOL_CALLS][{text}]"
        assert parsed(family, text) == [Content(text)]
    big = parsed("hermes", '<tool_call>{"name": "now", "arguments": {"zone": 123456789012345678901}}')
    assert big == [Called("now", {"zone": 123456789012345678901.0})]


def test_a_number_too_large_is_the_largest():
    for text, sign in (("1e999", 1), ("-1e999", -1), ("1" * 5000, 1), ("-" + "1" * 5000, -1)):
        parts = parsed("hermes", f'<tool_call>{{"name": "now", "arguments": {{"zone": {text}}}}}</tool_call>')
        assert parts == [Called("now", {"zone": sign * sys.float_info.max})]
