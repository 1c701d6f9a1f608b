"""Text is cut only at whole characters, and stop strings are found across pieces and never shown."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from puna.engine.text import TextStream


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def run(pieces: list[bytes], stops: list[str]) -> tuple[list[str], bool]:
    stream = TextStream(stops)
    out = []
    for piece in pieces:
        out.append(stream.feed(piece))
        if stream.stopped:
            break
    out.append(stream.finish())
    return out, bool(stream.stopped)


@given(st.text(max_size=40), st.lists(st.integers(0, 200), max_size=30))
def test_any_cutting_gives_the_same_text(text: str, places: list[int]) -> None:
    pieces = cut(text.encode(), places)
    shown, _ = run(pieces, [])
    assert "".join(shown) == text


@given(
    st.text("ab<|>停", max_size=30),
    st.lists(st.text("ab<|>停", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(0, 200), max_size=30),
)
def test_stop_strings_end_the_text_wherever_pieces_fall(
    text: str, stops: list[str], places: list[int]
) -> None:
    shown, stopped = run(cut(text.encode(), places), stops)
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    assert stopped == bool(found)
    result = "".join(shown)
    assert not any(stop in result for stop in stops)
    # A stop that ends earlier in the stream wins, even if a longer one began before it.
    assert text.startswith(result)
    if not found:
        assert result == text


def test_text_before_a_possible_stop_is_not_held_back() -> None:
    stream = TextStream(["STOP"])
    assert stream.feed(b"hello S") == "hello "
    assert stream.feed(b"o") == "So"


def test_an_unfinished_character_at_the_end_is_dropped() -> None:
    stream = TextStream()
    assert stream.feed("好".encode()[:2]) == ""
    assert stream.finish() == ""


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert TextStream().feed(b"a\xff\xfeb") == "a��b"
