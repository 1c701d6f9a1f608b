"""Vectors cut to fewer dimensions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.inference.service import shortened

VECTORS = st.lists(st.floats(-1, 1).filter(lambda x: x == 0 or abs(x) > 1e-6), min_size=1, max_size=50)


@given(VECTORS, st.integers(1, 60))
def test_a_cut_vector_points_the_same_way_and_has_length_one(vector: list[float], dimensions: int):
    cut = shortened(vector, dimensions)
    if dimensions >= len(vector):
        assert cut == vector
        return
    assert len(cut) == dimensions
    length = math.hypot(*vector[:dimensions])
    assert math.hypot(*cut) == pytest.approx(1 if length else 0)
    assert [number * length for number in cut] == pytest.approx(vector[:dimensions])
