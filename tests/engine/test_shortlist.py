from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from puna.engine.shortlist import WIDTH, Peaks, shortlist

COARSE = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0])
"""Few values make many ties."""


@st.composite
def logits(draw: st.DrawFn) -> np.ndarray:
    size = draw(st.integers(WIDTH, 9 * WIDTH + 7))
    values = np.random.default_rng(draw(st.integers(0, 2**32))).standard_normal(size).astype(np.float32)
    for place, value in draw(st.dictionaries(st.integers(0, size - 1), COARSE, max_size=20)).items():
        values[place] = value
    if draw(st.booleans()):
        values[draw(st.integers(0, size)) :] = draw(COARSE)
    return values


@given(logits(), st.integers(1, WIDTH))
def test_it_holds_the_highest_and_all_that_equal_them(values: np.ndarray, most: int):
    ids = shortlist(values, most)
    lowest = np.sort(values)[-most]
    assert set(np.flatnonzero((values >= lowest) & (values > -np.inf))) <= set(ids)
    assert len(set(ids)) == len(ids)


@given(logits(), st.floats(-4, 4, width=32))
def test_all_that_reach_a_bound_in_order(values: np.ndarray, bound: float):
    assert Peaks(values).reaching(bound).tolist() == np.flatnonzero(values >= bound).tolist()


def test_it_is_short():
    values = np.random.default_rng(0).standard_normal(50_000).astype(np.float32)
    assert 40 <= len(shortlist(values, 40)) < 80


@given(logits(), st.integers(1, WIDTH), st.integers(0, WIDTH - 1))
def test_what_is_not_a_number_never_leaves_it_empty(values: np.ndarray, most: int, broken: int):
    values[broken:] = np.nan
    assert len(shortlist(values, most)) >= 1
