"""One real server with one of each kind of model, shared by the tests that change nothing in its store."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from puna.access import add_key, new_key
from puna.gguf import read_metadata
from puna.library import Library
from puna.server.remote import Remote
from tests.hearing_models import hearing_model, ultravox_projector
from tests.model_parts import FIRST_BYTE
from tests.models import embedding_model, install, install_with_projector, scripted_model
from tests.ollama_models import rewritten
from tests.running import Server, keys_file, serving
from tests.server.fetching import lookups
from tests.server.search_engine import search_engine
from tests.vision_models import vision_model

SCRIPT = "The sky is blue: é 😀."

PARAMETERS = {"temperature": 0, "seed": 1}


@pytest.fixture(scope="session")
def native_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the models `talker`, `go`, `filler`, `endless`, `vectors` and `broken`."""
    folder = tmp_path_factory.mktemp("native")
    store = folder / "models"
    add_models(folder / "model.gguf", store)
    with serving(store) as server:
        yield server


@pytest.fixture
def http(native_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=native_server.url, timeout=60) as client:
        yield client


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Of the server that a module or a folder has."""
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def uploaded(client: httpx.Client, path: Path) -> str:
    """Send a file as a blob; its digest."""
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert client.post(f"/api/blobs/{digest}", content=content).is_success
    return digest


def add_models(gguf: Path, store: Path) -> None:
    scripted_model(gguf, SCRIPT)
    install(store, "talker", gguf, system="Briefly.", parameters=PARAMETERS)
    scripted_model(gguf, SCRIPT, chat_template=None)
    go = "{{ if .System }}<{{ .System }}>{{ end }}{{ if .Suffix }}{{ .Suffix }}|{{ end }}{{ .Prompt }}:"
    install(store, "go", gguf, template=go)
    marks = {
        "tokenizer.ggml.fim_pre_token_id": FIRST_BYTE + ord("("),
        "tokenizer.ggml.fim_suf_token_id": FIRST_BYTE + ord("^"),
        "tokenizer.ggml.fim_mid_token_id": FIRST_BYTE + ord(")"),
    }
    scripted_model(gguf, SCRIPT, metadata=marks)
    install(store, "filler", gguf)
    scripted_model(gguf, "on and ", endless=True)
    install(store, "endless", gguf)
    embedding_model(gguf)
    install(store, "vectors", gguf)
    kept = {"bert.normalize_embeddings": False}
    install(store, "unnormalized", rewritten([gguf], gguf.with_name("kept.gguf"), "bert", more=kept))
    scripted_model(gguf, "never said")
    install(store, "broken", gguf)
    weights = Library(store).open("broken").weights
    os.truncate(weights, weights.stat().st_size // 2)


def add_listener(scripted: Path, store: Path) -> None:
    """Put `listener` into a store: it says its script, whatever it hears."""
    projector = scripted.with_name("ears.gguf")
    width = read_metadata(scripted).arch("embedding_length")
    assert isinstance(width, int)
    ultravox_projector(projector, width=width)
    install_with_projector(store, "listener", scripted, projector)


@pytest.fixture(scope="session")
def hearing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with `hearer`, `seer`, `both`, and `listener`, which says SCRIPT whatever it hears.

    It fetches from this machine too.
    """
    folder = tmp_path_factory.mktemp("hearing")
    store = folder / "models"
    install_with_projector(store, "hearer", *hearing_model(folder))
    install_with_projector(store, "both", *hearing_model(folder, sees=True))
    install_with_projector(store, "seer", *vision_model(folder))
    scripted_model(folder / "scripted.gguf", SCRIPT)
    add_listener(folder / "scripted.gguf", store)
    with serving(store, PUNA_FETCH_PRIVATE="1") as server:
        yield server


@pytest.fixture
def hearing_http(hearing_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hearing_server.url, timeout=60) as client:
        yield client


def spelled(context: list[int]) -> str:
    """The text of a scripted model's byte tokens; words of its script and controls are left out."""
    return bytes(token - FIRST_BYTE for token in context if FIRST_BYTE <= token < FIRST_BYTE + 256).decode()


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """A search engine's address; it also has pages."""
    with search_engine() as address:
        yield address


@pytest.fixture
def near() -> Remote:
    """One that may ask this machine."""
    return Remote(private=True)


@pytest.fixture
def names() -> Iterator[dict[str, list[str]]]:
    """Names and the addresses they have, for a test to fill in."""
    known: dict[str, list[str]] = {}
    with lookups(known):
        yield known


Make = Callable[..., dict[str, str]]
"""Makes a key with these fields; the headers of who has it."""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for keys."""
    folder = tmp_path_factory.mktemp("keyed")
    store = folder / "models"
    add_models(folder / "model.gguf", store)
    add_key(keys_file(store), new_key("first")[0])
    with serving(store) as server:
        yield server


@pytest.fixture
def make(keyed: Server) -> Make:
    made = 0

    def make(**fields: Any) -> dict[str, str]:
        nonlocal made
        made += 1
        key, secret = new_key(f"{time.monotonic_ns()}-{made}", **fields)
        add_key(keyed.keys, key)
        return {"authorization": f"Bearer {secret}"}

    return make
