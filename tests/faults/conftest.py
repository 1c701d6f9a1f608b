"""A store of models whose answers are known and last as long as a test wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import install, scripted_model


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`endless` goes on and on; `talker` says ANSWER. Tests read them, and change nothing in the store."""
    folder = tmp_path_factory.mktemp("faults")
    gguf, store = folder / "model.gguf", folder / "models"
    scripted_model(gguf, "on and ", endless=True, context_length=8192)
    install(store, "endless", gguf)
    scripted_model(gguf, ANSWER)
    install(store, "talker", gguf)
    return store


ANSWER = "All is well."
