"""Text that comes in pieces, wrapped to a terminal's width."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size

from puna.cli.wrap import Wrapper, printable

ESCAPE = re.compile(r"\x1b\[(\d*)([DK])")


def screen(written: str) -> list[str]:
    """What stands on a terminal's lines after `written`: a terminal that knows what a wrapper may send."""
    lines: list[list[str]] = [[]]  # One cell each; "" is the second half of a wide character.
    column = at = 0
    while at < len(written):
        line = lines[-1]
        if found := ESCAPE.match(written, at):
            if found[2] == "D":
                column -= int(found[1])
                assert column >= 0
            else:
                del line[column:]
            at = found.end()
            continue
        ch = written[at]
        at += 1
        cells = get_character_cell_size(ch)
        if ch == "\n":
            lines.append([])
            column = 0
        elif ch == "\t":
            line += [" "] * (8 - column % 8)
            column = len(line)
        elif cells == 0:
            if line:
                last = max(i for i in range(len(line)) if line[i])
                line[last] += ch
        else:
            line[column:] = [ch, *[""] * (cells - 1)]
            column += cells
    return ["".join(line) for line in lines]


def shown(pieces: list[str], width: int) -> list[str]:
    wrapper = Wrapper()
    return screen("".join(wrapper.feed(piece, width) for piece in pieces))


def test_a_word_that_passes_the_edge_moves_to_the_next_line():
    assert shown(["The sky is bl", "ue because ", "of scatter", "ing."], 12) == [
        "The sky is ",
        "blue because",
        "of ",
        "scattering.",
    ]


def test_a_word_longer_than_a_line_is_cut():
    assert shown(["see " + "x" * 25], 10) == ["see ", "x" * 10, "x" * 10, "x" * 5]


def test_chinese_breaks_anywhere_but_before_closing_punctuation():
    assert shown(["天空是蓝色的。因为"], 12) == ["天空是蓝色", "的。因为"]
    assert shown(["他说（好的）吧"], 6) == ["他说", "（好", "的）吧"]


def test_chinese_and_english_together():
    assert shown(["模型Ollama很快"], 10) == ["模型Ollama", "很快"]
    assert shown(["模型很好Ollama"], 10) == ["模型很好", "Ollama"]


def test_a_combining_mark_moves_with_its_letter():
    lines = shown(["abcd cafe\u0301s"], 8)
    assert [unicodedata.normalize("NFC", line) for line in lines] == ["abcd ", "cafés"]


def test_line_breaks_of_the_text_are_kept():
    assert shown(["one\n\n  two\n"], 20) == ["one", "", "  two", ""]


def test_a_model_cannot_steer_the_terminal():
    assert printable("a\x1b[2Jb\x07\r\x9bc\nd\te") == "a[2Jbc\nd\te"
    assert "\x1b[2J" not in Wrapper().feed("\x1b[2J", 40)


texts = st.text(
    st.sampled_from("ab defgh   .,-\n中文，。（）ｆ한국어\u0301éß😀")
    | st.characters(categories=["L", "N", "P"]),
    max_size=120,
)


@given(texts, st.integers(4, 30), st.data())
def test_lines_fit_nothing_is_lost_and_pieces_do_not_matter(text: str, width: int, data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    lines = shown(pieces, width)
    assert all(cell_len(line) <= width for line in lines)
    assert lines == shown([text], width)
    # A break may take the place of a space; everything else is there, in order.
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


@given(st.lists(st.text("abcdefg", min_size=1, max_size=8), max_size=40), st.integers(8, 30))
def test_words_stay_whole(words: list[str], width: int):
    lines = shown([" ".join(words)], width)
    assert " ".join(lines).split() == words


@pytest.mark.parametrize("text", ["", "\n", " ", "a"])
def test_small_texts_pass_unchanged(text: str):
    assert Wrapper().feed(text, 20) == text
