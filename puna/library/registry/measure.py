"""Checks the sizes in an untrusted manifest before a download."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from puna.errors import PunaError
from puna.library import manifests
from puna.library.manifests import Layer
from puna.library.store import Library

MAX_LAYERS = 256
MAX_TEXT_BYTES = 64 << 20
"""Maximum bytes of a layer that is read as a whole: template, license, messages."""

_WEIGHTS = tuple(manifests.IMAGE + kind for kind in ("model", "projector", "adapter", "draft"))


def check_sizes(library: Library, layers: Sequence[Layer]) -> None:
    """Raises PunaError if there are too many layers, a layer is too large, or the disk lacks space."""
    if len(layers) > MAX_LAYERS:
        raise PunaError(f"its manifest has {len(layers)} layers; {MAX_LAYERS} are the most")
    needed: dict[str, int] = {}
    for layer in layers:
        if layer.size < 0:
            raise PunaError(f"{layer.digest} has a size of {layer.size} bytes")
        if layer.size > MAX_TEXT_BYTES and not layer.media_type.startswith(_WEIGHTS):
            kind = layer.media_type or "a layer without a type"
            raise PunaError(f"{layer.digest} has {layer.size} bytes, which are too many for {kind}")
        if not library.blobs.path(layer.digest).exists():
            needed[layer.digest] = layer.size - _fetched_bytes(library, layer)
    folder = library.blobs.partial(layers[0].digest).parent if layers else library.root
    check_disk_space(folder, sum(needed.values()))


def check_disk_space(folder: Path, needed: int) -> None:
    """Raises PunaError if the disk of `folder` has less than `needed` free bytes."""
    if needed > shutil.disk_usage(folder).free:
        raise PunaError(f"not enough disk space in {folder}: {needed / 1e9:.1f} GB are needed")


def _fetched_bytes(library: Library, layer: Layer) -> int:
    """Bytes on disk from an earlier pull."""
    try:
        state = library.blobs.partial(layer.digest).stat()
    except OSError:
        return 0
    return min(layer.size, getattr(state, "st_blocks", 0) * 512)
