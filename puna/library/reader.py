"""Reads models by their manifests, and caches them until the manifest changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from puna.errors import LoadFailed
from puna.library import manifests
from puna.library.blobs import Blobs
from puna.library.model import Model, text
from puna.library.names import Name


class Reader:
    """Caches models by name. Thread-safe."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._cache: dict[Name, tuple[tuple[int, int, int], Model]] = {}

    def model(self, name: Name, path: str | Path) -> Model:
        """The model of the manifest at `path`. Raises OSError if unreadable, LoadFailed if damaged."""
        state = os.stat(path)
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        cached = self._cache.get(name)
        if cached and cached[0] == stamp:
            return cached[1]
        content = Path(path).read_bytes()
        try:
            manifest = manifests.decode(content)
            about = manifest.config.digest and text(self._blobs.path(manifest.config.digest))
            config = msgspec.json.decode(about, type=dict[str, Any]) if about else {}
        except (msgspec.DecodeError, LoadFailed) as error:
            raise LoadFailed(f"model '{name.display()}' is damaged: {error}") from error
        model = Model(
            name=name,
            digest=hashlib.sha256(content).hexdigest(),
            size=sum(layer.size for layer in manifest.blobs),
            modified_at=datetime.fromtimestamp(state.st_mtime).astimezone(),
            config=config,
            layers=tuple(layer for layer in manifest.layers or () if layer.digest),
            blobs=self._blobs,
        )
        self._cache[name] = (stamp, model)
        return model

    def forget_all_but(self, names: Collection[Name]) -> None:
        self._cache = {name: cached for name, cached in list(self._cache.items()) if name in names}

    def forget(self, name: Name) -> None:
        self._cache.pop(name, None)
