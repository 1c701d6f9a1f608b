"""A store of models whose answers are known and last as long as a test wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import embedding_model, install, scripted_model, shape_model


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`endless` goes on and on; `talker` says ANSWER; `slow` takes seconds to read. No test changes them."""
    folder = tmp_path_factory.mktemp("faults")
    gguf, store = folder / "model.gguf", folder / "models"
    scripted_model(gguf, "on and ", endless=True, context_length=1 << 17)
    install(store, "endless", gguf)
    scripted_model(gguf, ANSWER)
    install(store, "talker", gguf)
    embedding_model(gguf)
    install(store, "vectors", gguf)
    shape_model(gguf, layers=8, width=512, heads=8, kv_heads=8, ffn=2048)
    install(store, "slow", gguf)
    return store


ANSWER = "All is well."
