"""Fills libraries for the tests of this room, and looks at what is in them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from puna.gguf import read_metadata
from puna.library import Layer, Library, Model, Name, describe
from tests.models import scripted_model

IMAGE = "application/vnd.ollama.image."


def layer(library: Library, kind: str, content: bytes) -> Layer:
    return Layer(IMAGE + kind, *library.blobs.add([content]))


def put(library: Library, name: str, content: bytes = b"weights", **texts: str) -> Model:
    """A model whose weights nobody will read."""
    layers = [layer(library, "model", content)]
    layers += [layer(library, kind, text.encode()) for kind, text in texts.items()]
    library.write_manifest(Name.parse(name), {"model_format": "gguf", "model_family": "llama"}, layers)
    return library.open(name)


def put_real(library: Library, name: str, **parts: Any) -> Model:
    """A scripted model with metadata `metadata`; other parts become layers, what is not text as JSON."""
    with library.blobs.temporary() as path:
        scripted_model(path, "hello", metadata=parts.pop("metadata", None))
        config = describe(read_metadata(path))
        layers = [Layer(IMAGE + "model", *library.blobs.adopt(path))]
    for kind, part in parts.items():
        content = part if isinstance(part, str) else json.dumps(part)
        layers.append(layer(library, kind, content.encode()))
    library.write_manifest(Name.parse(name), config, layers)
    return library.open(name)


def manifest_path(library: Library, name: str) -> Path:
    return library.root / "manifests" / Name.parse(name).path()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def blob_name(content: bytes) -> str:
    """What the blob is called that holds `content`."""
    return digest_of(content).replace(":", "-")


def displayed(library: Library) -> list[str]:
    return sorted(model.name.display() for model in library.list())


def blobs(library: Library) -> set[str]:
    return {path.name for path in (library.root / "blobs").iterdir()}
