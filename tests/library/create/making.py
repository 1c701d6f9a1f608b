"""Makes models as a request would, and small files to make them of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from puna.engine import quantize as engine_quantize
from puna.library import Library, Model, Recipe, create
from puna.types import Progress
from tests.model_parts import add_metadata, finish

DIGEST = "sha256:" + "0" * 64


def unknown(source: str) -> None:
    """Recognizes no chat template: what these files say stays as it is."""


def blob(library: Library, path: Path) -> str:
    return library.blobs.import_file(path)[0]


def made(library: Library, name: str = "made", **recipe: Any) -> Model:
    create(library, name, Recipe(**recipe), lambda step: None, engine_quantize, unknown)
    return library.open(name)


def statuses(library: Library, **recipe: Any) -> list[str]:
    steps: list[Progress] = []
    create(library, "made", Recipe(**recipe), steps.append, engine_quantize, unknown)
    return [step.status for step in steps]


def small_gguf(path: Path, architecture: str, **metadata: str | int | bool) -> Path:
    """A file with one tensor; two underscores in a key stand for a dot."""
    writer = GGUFWriter(path, architecture)
    add_metadata(writer, {key.replace("__", "."): value for key, value in metadata.items()})
    writer.add_tensor("t", np.zeros(32, np.float32))
    finish(writer)
    return path


def adapter(path: Path) -> Path:
    return small_gguf(path, "llama", general__type="adapter", adapter__type="lora")


def kinds(model: Model) -> list[str]:
    return [layer.media_type.rpartition(".")[2] for layer in model.layers]


def contents(library: Library) -> dict[str, bytes]:
    """Every file of the store, locks left out."""
    files = (path for path in library.root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): path.read_bytes() for path in files}
