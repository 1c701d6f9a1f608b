"""The log-probabilities of an answer go with the pieces that their tokens are of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from puna.chat import parser_for
from puna.inference import Piece
from puna.inference.answers import Reading
from puna.types import Delta, Message, TokenLogprob


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
