"""Where pictures are in a sequence, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from puna.engine.libllama import LlamaModel
from puna.engine.libllama.vision import MediaChunk, Projector
from puna.engine.media import TEXT, EncoderCache, Layout, MediaSpan, Medium
from puna.errors import BadRequest, PunaError
from puna.types import Image
from tests.vision_models import ROWS, WIDTH, vision_model

SIGHT = "<__media__>"
NOWHERE = np.zeros((1, 0), np.int32)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, int]:
    """Pictures with text between, before and behind them, and the length of it all."""
    at, pictures = draw(st.integers(0, 5)), []
    for number in range(draw(st.integers(0, 4))):
        rows = draw(st.integers(1, 9))
        seen = MediaChunk(number, 0, rows, draw(st.integers(1, rows)), True, NOWHERE, NOWHERE)
        pictures.append(MediaSpan(at, (b"", number, rows), seen))
        at += rows + draw(st.integers(0, 5))
    return Layout(pictures), at + draw(st.integers(0, 5))


@given(layouts())
def test_positions_go_on_where_pictures_end(made: tuple[Layout, int]) -> None:
    layout, length = made
    position = index = 0
    while index <= length:
        assert layout.position(index) == position
        if picture := next((p for p in layout.spans_from(index) if p.start == index), None):
            index, position = picture.end, position + picture.chunk.span
        else:
            index, position = index + 1, position + 1


@given(layouts(), st.data())
def test_what_is_cut_out_splits_no_picture(made: tuple[Layout, int], data: st.DataObject) -> None:
    layout, length = made
    first = data.draw(st.integers(0, length))
    last = data.draw(st.integers(first, length))
    wide = layout.widen(first, last)
    assert wide[0] <= first
    assert last <= wide[1] <= length
    assert layout.overlaps(*wide) == layout.overlaps(first, last)
    left = layout.without(*wide)
    tokens = list(range(length))
    pieces = {picture.key: tokens[picture.start : picture.end] for picture in layout.spans}
    remaining = tokens[: wide[0]] + tokens[wide[1] :]
    for picture in left.spans:
        assert remaining[picture.start : picture.end] == pieces[picture.key]
    gone = [p for p in layout.spans if wide[0] <= p.start < wide[1]]
    assert len(left.spans) == len(layout.spans) - len(gone)


@given(layouts(), st.data())
def test_a_prefix_ends_beside_pictures(made: tuple[Layout, int], data: st.DataObject) -> None:
    layout, length = made
    index = data.draw(st.integers(0, length))
    length_before = layout.cut_before(index)
    assert length_before <= index
    assert not any(p.start < length_before < p.end for p in layout.spans)
    end = layout.text_end(length_before, length)
    assert not layout.overlaps(length_before, end)
    assert end == length or any(p.start == end for p in layout.spans)


@given(layouts())
def test_text_tokens_are_those_outside_pictures(made: tuple[Layout, int]) -> None:
    layout, length = made
    tokens = layout.text_tokens(range(length))
    assert len(tokens) == length - sum(p.chunk.rows for p in layout.spans)
    assert not any(p.start <= token < p.end for p in layout.spans for token in tokens)
    assert TEXT.text_tokens(range(length)) == list(range(length))


class Starved(Projector):
    """One that may find no memory."""

    starved = False

    def encode(self, medium: Medium) -> list[NDArray[np.float32]]:
        if self.starved:
            raise MemoryError
        return super().encode(medium)


class Studio:
    """A encoder_cache over a real projector, and its encoder's answers."""

    def __init__(self, folder: Path, limit: int) -> None:
        path, projector = vision_model(folder, tiles=True)
        model = LlamaModel(str(path))
        self.n_vocab = model.n_vocab
        self.post: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.seer = Starved(str(projector), model, threads=1, device="", max_tokens=1000)
        self.encoder_cache = EncoderCache(self.seer, n_vocab=model.n_vocab, limit=limit, post=self.post.put)

    def see(self, image: Image) -> MediaSpan:
        """Let the encoder look at it and wait for that."""
        _, layout = self.encoder_cache.tokenize(SIGHT, [image])
        assert self.encoder_cache.encode(image, layout.spans[0])
        assert self.encoder_cache.encoding
        assert not self.encoder_cache.encode(image, layout.spans[0])
        self.post.get()()
        assert not self.encoder_cache.encoding
        return layout.spans[0]


def painted(value: int) -> Image:
    return Image(60, 40, bytes([value]) * 60 * 40 * 3)


def test_the_same_picture_has_the_same_numbers(tmp_path: Path) -> None:
    studio = Studio(tmp_path, 1 << 20)
    one, places = studio.encoder_cache.tokenize(f"a{SIGHT}b{SIGHT}", [painted(1), painted(2)])
    two, _ = studio.encoder_cache.tokenize(f"xyz{SIGHT}", [painted(2)])
    rows = [one[p.start : p.end] for p in places.spans]
    assert len(rows) == 10  # the picture and four tiles of each
    assert len({row for part in rows for row in part}) == 10 * ROWS
    assert min(map(min, rows)) >= studio.n_vocab
    assert two[-5 * ROWS :] == one[-5 * ROWS :]
    with pytest.raises(BadRequest, match="1 places for 2 images or sounds"):
        studio.encoder_cache.tokenize(SIGHT, [painted(1)] * 2)


def test_the_oldest_pictures_are_forgotten(tmp_path: Path) -> None:
    picture_size = 5 * ROWS * WIDTH * 4
    encoder_cache = (studio := Studio(tmp_path, 2 * picture_size)).encoder_cache
    one, two = studio.see(painted(1)), studio.see(painted(2))
    first = encoder_cache.vectors(one)
    assert first is not None
    assert first.shape == (ROWS, WIDTH)
    three = studio.see(painted(3))
    # Of the first, one of five parts was used last; its other parts went with the oldest.
    assert encoder_cache.vectors(three) is not None
    assert encoder_cache.vectors(two) is None
    studio.see(painted(4))
    assert encoder_cache.vectors(three) is not None


def test_one_picture_is_kept_however_large(tmp_path: Path) -> None:
    studio = Studio(tmp_path, 1)
    one = studio.see(painted(1))
    assert studio.encoder_cache.vectors(one) is not None
    two = studio.see(painted(2))
    assert studio.encoder_cache.vectors(one) is None
    assert studio.encoder_cache.vectors(two) is not None


def test_a_failure_is_of_the_sequence_that_waits_for_it(tmp_path: Path) -> None:
    """A later one with the same picture tries again, whatever became of the first."""
    encoder_cache = (studio := Studio(tmp_path, 1 << 20)).encoder_cache
    studio.seer.starved = True
    one = studio.see(painted(1))
    studio.seer.starved = False
    _, layout = encoder_cache.tokenize(SIGHT, [painted(1)])
    assert encoder_cache.vectors(layout.spans[0]) is None
    with pytest.raises(PunaError, match="memory"):
        encoder_cache.vectors(one)
    assert encoder_cache.vectors(studio.see(painted(1))) is not None
