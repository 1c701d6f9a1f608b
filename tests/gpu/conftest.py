"""Two devices, and models for them. Collected only where libllama is compiled for a GPU (`make test-gpu`)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from puna.engine import find_devices
from tests.engine.conftest import path
from tests.models import shape_model

__all__ = ["gpus", "path", "shaped"]


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four layers of random weights, some 30 MB."""
    path = tmp_path_factory.mktemp("gpu") / "shape.gguf"
    shape_model(path, layers=4, width=512, heads=8, kv_heads=4, ffn=1024, vocab=2048)
    return path


@pytest.fixture(scope="session")
def gpus() -> tuple[str, ...]:
    """The devices' names."""
    found = asyncio.run(find_devices())
    assert len(found.devices) >= 2, found.problem
    return tuple(device.name for device in found.devices)
