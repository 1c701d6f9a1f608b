"""A server with the models that the guide's programs name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from puna.library import Layer, Library, Name
from tests.conftest import STARTERS
from tests.models import install, scripted_model
from tests.running import Server, serving

ANSWER_TOKENS = 24
SCRIPT = ["Hello", " there", "! The sky", " is blue", " 😀"]


@pytest.fixture(scope="session")
def guide_models(starters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a starter model as "qwen3", made to answer briefly, and two scripted models."""
    root = tmp_path_factory.mktemp("guide")
    models = root / "models"
    library = Library(models)
    (models / "blobs").mkdir(parents=True)
    for blob in (starters / "blobs").iterdir():
        (models / "blobs" / blob.name).symlink_to(blob)
    for starter in STARTERS:
        model = Library(starters).open(starter)
        library.write_manifest(Name.parse(starter), model.config, model.layers)

    chat = library.open("smollm2:135m")
    brief = b'{"num_predict": %d, "temperature": 0}' % ANSWER_TOKENS
    params = Layer("application/vnd.ollama.image.params", *library.add_blob([brief]))
    others = [layer for layer in chat.layers if not layer.media_type.endswith(".params")]
    library.write_manifest(Name.parse("qwen3"), chat.config, [*others, params])

    scripted_model(root / "scripted.gguf", SCRIPT)
    install(models, "scripted", root / "scripted.gguf")
    scripted_model(root / "endless.gguf", ["tick", " tock"], endless=True)
    install(models, "endless", root / "endless.gguf")
    return models


@pytest.fixture(scope="session")
def guide_server(guide_models: Path) -> Iterator[Server]:
    """A server over `guide_models`, where "qwen3-embedding" is a copy of the embedding starter."""
    with serving(guide_models) as server:
        ollama.Client(server.url).copy("all-minilm:22m", "qwen3-embedding")
        yield server
