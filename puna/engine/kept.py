"""Which numbers on disk are a loaded model's own: what they depend on, said in words."""

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


def disk_of(
    spec: LoadSpec, model: LlamaModel, context: Context, post: Callable[[Callable[[], None]], None]
) -> Disk | None:
    """The files of a model that is loaded as `spec` says; None where none are kept.

    `post` brings what was read to the batch loop's thread.
    """
    if not (spec.disk and spec.disk_limit):
        return None
    words = (
        __version__,
        build(),
        *(_content(path) for path in (spec.path, *spec.adapters, spec.projector) if path),
        spec.kv_cache_type,
        str(spec.flash_attention),
        *spec.placed.devices,
        _rope(model, context),
    )
    return Disk(Path(spec.disk), "\n".join(words), spec.disk_limit, post=post)


def _content(path: str) -> str:
    """What a file holds: a blob is called by its digest, any other is known by its place and time."""
    if _BLOB.fullmatch(name := os.path.basename(path)):
        return name
    state = os.stat(path)
    return f"{os.path.realpath(path)} {state.st_size} {state.st_mtime_ns}"


def _rope(model: LlamaModel, context: Context) -> str:
    """Some models turn positions by other factors in a context that is longer than those they first saw."""
    architecture = model.metadata("general.architecture")
    trained = model.metadata(f"{architecture}.rope.scaling.original_context_length")
    return "long" if trained.isdigit() and context.n_ctx > int(trained) else "short"
