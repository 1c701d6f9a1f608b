"""The models of these tests."""

from __future__ import annotations

import pytest

from puna.library import Library
from tests.models import embedding_model, install, shape_model
from tests.scheduling.scripted import Models


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Real models in a real store: a, b and c alike, and an embedder. A copy of a is named also-a."""
    folder = tmp_path_factory.mktemp("scheduling")
    store = folder / "models"
    for seed, name in enumerate("abc"):
        shape_model(folder / name, seed=seed, name=name, context_length=32768)
        install(store, name, folder / name)
    install(store, "also-a", folder / "a")
    embedding_model(folder / "embedder", context_length=512)
    install(store, "embedder", folder / "embedder")
    library = Library(store)
    return {name: library.open(name) for name in ("a", "b", "c", "also-a", "embedder")}
