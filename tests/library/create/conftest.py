"""What the tests of creating share: a library, a file, and a model to begin from."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.library import Library, Model
from puna.types import Message
from tests.library.create.making import blob, made
from tests.models import scripted_model


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    scripted_model(path, "hello", metadata={"general.file_type": 0})
    return path


@pytest.fixture
def base(library: Library, gguf: Path) -> Model:
    return made(
        library,
        "base",
        files={"model.gguf": blob(library, gguf)},
        template="T",
        system="S",
        licenses=["L"],
        parameters={"seed": 1, "top_k": 2},
        messages=[Message(role="user", content="M")],
        renderer="r",
        requires="0.1",
        info={"capabilities": ["completion"], "parameter_size": "9B"},
    )
