"""Models that several files ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.looped import Asked
from tests.hybrid_models import delta_model
from tests.models import hybrid_model, recurrent_model, shape_model, sliding_window_model


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    path = tmp_path_factory.mktemp("models") / "shape.gguf"
    shape_model(path, width=128, heads=4, kv_heads=2)
    return path


KINDS: dict[str, Callable[[Path], None]] = {
    "full": shape_model,
    "window": sliding_window_model,
    "recurrent": recurrent_model,
    "hybrid": hybrid_model,
    "delta": delta_model,
}
"""A model of each kind of memory."""


@pytest.fixture(scope="module", params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinds") / f"{request.param}.gguf"
    KINDS[request.param](path)
    return path


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[..., Asked]]:
    """Opens models, and closes all at the end: libllama logs through the one that was opened last."""
    models: list[Asked] = []

    def open_one(path: Path, **options: Any) -> Asked:
        models.append(Asked(path, **options))
        return models[-1]

    yield open_one
    for asked in models:
        asked.close()
