"""A server with the models that the guide's programs name, and with actors for what clients ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from puna.library import Layer, Library, Name
from tests.clients.actors import OTHERWISE, add_actor, add_thinker, call
from tests.conftest import STARTERS
from tests.models import install, scripted_model
from tests.running import Server, serving

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # read on import; otherwise it is fetched

HEAVY = [
    pytest.mark.clients,
    pytest.mark.usefixtures("default_host"),
    pytest.mark.allow_hosts(["127.0.0.1"]),
]
"""The marks of a file that imports a heavy client; it is let nowhere but to this machine."""

ANSWER_TOKENS = 24
SCRIPT = ["Hello", " there", "! The sky", " is blue", " 😀"]

HELLO = "Hello there! The sky is blue 😀"
FORECAST = "It is sunny in Paris."
ANSWERS = {
    "sunny": FORECAST,
    "both": call("get_weather", city="Paris", days=2) + "\n" + call("get_weather", city="東京", days=1),
    "place": '{"city": "Paris", "days": 2}',
    "final_result": call("final_result", city="Paris", days=2),
    "get_weather": "I look. " + call("get_weather", city="Paris", days=2),
    OTHERWISE: HELLO,
}
"""What the model `actor` has learned."""


@pytest.fixture(scope="session")
def guide_models(starters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a starter model as "qwen3", made to answer briefly, and scripted models."""
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
    params = Layer("application/vnd.ollama.image.params", *library.blobs.add([brief]))
    others = [layer for layer in chat.layers if not layer.media_type.endswith(".params")]
    library.write_manifest(Name.parse("qwen3"), chat.config, [*others, params])

    scripted_model(root / "scripted.gguf", SCRIPT)
    install(models, "scripted", root / "scripted.gguf")
    scripted_model(root / "endless.gguf", ["tick", " tock"], endless=True)
    install(models, "endless", root / "endless.gguf")
    add_actor(models, root / "actor.gguf", "actor", ANSWERS)
    add_thinker(models, root / "thinker.gguf", "thinker", "Blue.")
    return models


@pytest.fixture(scope="session")
def guide_server(guide_models: Path) -> Iterator[Server]:
    """A server over `guide_models`, where "qwen3-embedding" is a copy of the embedding starter."""
    with serving(guide_models) as server:
        ollama.Client(server.url).copy("all-minilm:22m", "qwen3-embedding")
        yield server


@pytest.fixture
def default_host(guide_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where clients look that are told no address."""
    monkeypatch.setenv("OLLAMA_HOST", guide_server.url)
