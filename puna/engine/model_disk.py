"""Opens the files of retained sequences that a loaded model can use: those of the same files and build."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from puna import __version__
from puna.engine.libllama import Context, LlamaModel, build
from puna.engine.memory import Disk
from puna.load import LoadSpec

_BLOB = re.compile(r"sha256-[0-9a-f]{64}")


def open_disk(
    spec: LoadSpec, model: LlamaModel, context: Context, post: Callable[[Callable[[], None]], None]
) -> Disk | None:
    """The disk of a model loaded by `spec`; None if sequences are not stored.

    `post` runs a callback in the batch loop's thread.
    """
    if not (spec.disk and spec.disk_limit):
        return None
    identity = (
        __version__,
        build(),
        *(file_identity(path) for path in (spec.path, *spec.adapters, spec.projector) if path),
        spec.kv_cache_type,
        str(spec.flash_attention),
        *spec.placed.devices,
        _rope(model, context),
    )
    return Disk(Path(spec.disk), "\n".join(identity), spec.disk_limit, post=post)


def file_identity(path: str) -> str:
    """A blob's digest; of any other file its path, size and time."""
    if _BLOB.fullmatch(name := os.path.basename(path)):
        return name
    state = os.stat(path)
    return f"{os.path.realpath(path)} {state.st_size} {state.st_mtime_ns}"


def _rope(model: LlamaModel, context: Context) -> str:
    """Some models use other RoPE factors in a context longer than the one of their training."""
    architecture = model.metadata("general.architecture")
    trained = model.metadata(f"{architecture}.rope.scaling.original_context_length")
    return "long" if trained.isdigit() and context.n_ctx > int(trained) else "short"
