"""A minute of the soak: many clients, many models, an engine that ends under them now and then."""

from __future__ import annotations

from pathlib import Path

from tests.soak import soak


def test_a_minute_of_everything_at_once(tmp_path: Path):
    found = soak(tmp_path, 60)
    assert found.wrong == []
    assert found.errors == []
    assert found.faults >= 2
    assert min(found.asked.values()) > 0
    assert found.growth(found.open_files) < 1.5
    assert found.growth(found.threads) < 1.5
    assert found.shared[-1] <= found.shared[0]
