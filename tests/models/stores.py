"""Models put into a store, and files that are damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader

from puna.gguf import read_metadata
from puna.library import Layer, Library, Name, describe

_IMAGE = "application/vnd.ollama.image."


def install(
    library_root: Path,
    name: str,
    gguf_path: Path,
    *,
    template: str | None = None,
    system: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Put a GGUF file into the model store at `library_root` under `name`; `config` is laid over its own."""
    library = Library(library_root)
    texts = {
        "template": template,
        "system": system,
        "params": json.dumps(dict(parameters)) if parameters else None,
    }
    with gguf_path.open("rb") as file:
        layers = [Layer(_IMAGE + "model", *library.blobs.add(file))]
    for kind, text in texts.items():
        if text is not None:
            layers.append(Layer(_IMAGE + kind, *library.blobs.add([text.encode()])))
    described = describe(read_metadata(gguf_path)) | dict(config or {})
    library.write_manifest(Name.parse(name), described, layers)


def add_layer(library: Library, source: str, kind: str, file: Path, *, name: str) -> None:
    """`name`: the model `source`, with `file` as one more layer of this kind."""
    model = library.open(source)
    layer = Layer(_IMAGE + kind, *library.blobs.add([file.read_bytes()]))
    library.write_manifest(Name.parse(name), model.config, [*model.layers, layer])


def install_with_projector(store: Path, name: str, model: Path, projector: Path) -> None:
    """Put a model that sees or hears into a store."""
    install(store, name, model)
    add_layer(Library(store), name, "projector", projector, name=name)


def damage(path: Path, tensor: str, rows: slice = slice(None), value: float = np.nan) -> None:
    """Overwrite rows of a float32 tensor in a GGUF file."""
    reader = GGUFReader(path, "r+")
    found = next(one for one in reader.tensors if one.name == tensor)
    found.data[rows] = value
    reader.data.flush()
