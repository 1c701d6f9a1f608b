"""Models that several files ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import shape_model


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    path = tmp_path_factory.mktemp("models") / "shape.gguf"
    shape_model(path, width=128, heads=4, kv_heads=2)
    return path
