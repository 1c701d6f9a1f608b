"""Makes models as a request would, and small files to make them of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from puna.engine import quantize as engine_quantize
from puna.library import Library, Model, Recipe, create
from puna.types import Progress

DIGEST = "sha256:" + "0" * 64


def blob(library: Library, path: Path) -> str:
    return library.import_blob(path)[0]


def made(library: Library, name: str = "made", **recipe: Any) -> Model:
    create(library, name, Recipe(**recipe), lambda step: None, engine_quantize)
    return library.open(name)


def statuses(library: Library, **recipe: Any) -> list[str]:
    steps: list[Progress] = []
    create(library, "made", Recipe(**recipe), steps.append, engine_quantize)
    return [step.status for step in steps]


def small_gguf(path: Path, architecture: str, **metadata: str | int | bool) -> Path:
    writer = GGUFWriter(path, architecture)
    for key, value in metadata.items():
        key = key.replace("__", ".")
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        else:
            writer.add_string(key, value)
    writer.add_tensor("t", np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def adapter(path: Path) -> Path:
    return small_gguf(path, "llama", general__type="adapter", adapter__type="lora")


def kinds(model: Model) -> list[str]:
    return [layer.media_type.rpartition(".")[2] for layer in model.layers]


def contents(library: Library) -> dict[str, bytes]:
    """Every file of the store, locks left out."""
    files = (path for path in library.root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path): path.read_bytes() for path in files}
