"""The log-probabilities of an answer go with the pieces that their tokens are of."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.inference import Piece
from puna.inference.answers import Reading
from puna.types import Delta, Message, TokenLogprob
from tests.chat.families import parser_for
from tests.chat.parsing.reading import FORECAST, TOOLS
from tests.chat.parsing.written import WRITTEN, Written


def reading() -> Reading:
    asked = Message(role="user", content="x")
    return Reading(parser_for("hermes", tools=[], think=True, prompt="", last=asked))


def read(tokens: list[str]) -> list[Piece]:
    one, pieces = reading(), []
    for token in tokens:
        pieces += one.pieces(Delta(token, 1, (TokenLogprob(token, -1.0, list(token.encode())),)))
    return pieces + one.rest()


def words(pieces: list[Piece]) -> list[str]:
    return [token.token for piece in pieces for token in piece.logprobs]


def test_tags_are_in_no_report():
    pieces = read(["<think>", "\n", "Why", "?", "\n", "</think>", "\n\n", "So", " it", " is."])
    thinking = [piece for piece in pieces if piece.thinking]
    content = [piece for piece in pieces if piece.text]
    assert "".join(piece.thinking for piece in thinking) == "Why?"
    assert words(thinking) == ["Why", "?"]
    assert words(content) == ["So", " it", " is."]
    assert pieces == [*thinking, *content]


@given(st.lists(st.text("ab \n", min_size=1, max_size=3), min_size=1, max_size=12))
def test_every_token_of_the_text_is_reported_once(tokens: list[str]):
    pieces = read(["Answer:", *tokens])
    assert "".join(words(pieces)) == "".join(piece.text for piece in pieces)


Cut = TypeVar("Cut", str, list[str])


def cut(whole: Cut, lengths: Iterator[int]) -> Iterator[Cut]:
    at = 0
    while at < len(whole):
        end = at + next(lengths)
        yield whole[at:end]
        at = end


THINKERS = [written for written in WRITTEN if written.think]


@pytest.mark.parametrize("written", THINKERS, ids=[written.family for written in THINKERS])
@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["", "\n"]),
    st.sampled_from(["t", "Hi there < 3 t.", "The \n\n end"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=8),
    st.lists(st.integers(1, 4), min_size=1, max_size=8),
)
def test_reports_are_of_the_text_they_come_with(
    written: Written, gap: str, text: str, lengths: list[int], groups: list[int]
):
    """However the tokens are cut, and however many of them come at once."""
    assert written.think
    opening, closing = written.think
    whole = f"{opening}Why a?\nSince b.{closing}{gap}{text}"
    tokens = list(cut(whole, cycle(lengths)))
    asked = Message(role="user", content="x")
    one = Reading(parser_for(written.family, tools=[], think=True, prompt="", last=asked))
    pieces: list[Piece] = []
    for some in cut(tokens, cycle(groups)):
        reports = tuple(TokenLogprob(token, -1.0, list(token.encode())) for token in some)
        pieces += one.pieces(Delta("".join(some), len(some), reports))
    pieces += one.rest()
    said = "".join(words([piece for piece in pieces if piece.text]))
    # A token that begins in the tag and ends in the text is reported with it.
    content = "".join(piece.text for piece in pieces)
    assert content in said
    assert len(said) <= len(content) + 6
    thought = "".join(words([piece for piece in pieces if piece.thinking]))
    assert "".join(piece.thinking for piece in pieces).strip() in thought


def test_a_calls_tokens_go_with_the_call():
    written = next(written for written in WRITTEN if written.family == "hermes")
    tokens = ["Sure", ".", "\n", *written.calls([FORECAST])]
    asked = Message(role="user", content="x")
    one = Reading(parser_for("hermes", tools=TOOLS, think=None, prompt="", last=asked))
    reports = tuple(TokenLogprob(token, -1.0, list(token.encode())) for token in tokens)
    text, call = one.pieces(Delta("".join(tokens), len(tokens), reports)) + one.rest()
    assert (text.text.strip(), words([text])[:2]) == ("Sure.", ["Sure", "."])
    assert "".join(words([call])).strip() == written.calls([FORECAST])


def test_half_a_character_goes_with_its_other_half():
    one = reading()
    first = one.pieces(Delta("", 1, (TokenLogprob("�", -1.0, [0xC3]),)))
    second = one.pieces(Delta("é", 1, (TokenLogprob("�", -1.0, [0xA9]),)))
    assert first == []
    assert [len(piece.logprobs) for piece in second] == [2]


def test_reasoning_is_counted_with_the_tag_before_it():
    one = reading()
    for text, tokens in [("<think>", 1), ("Why", 2), ("?", 1), ("</think>", 1), ("So", 3), (" it", 1)]:
        one.pieces(Delta(text, tokens))
    assert one.reasoning == 4
