"""What the tests of this room share: a library of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.library import Library


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")
