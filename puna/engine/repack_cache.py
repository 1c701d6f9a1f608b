"""Packed weights in files: a model's second load maps them instead of packing them again."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path

from puna import __version__
from puna.engine.cache_folder import atomic_write, cached_files, size_limit
from puna.engine.libllama import build
from puna.engine.libllama.packed_weights import PackedWeights, RepackFile
from puna.engine.model_disk import file_identity
from puna.kernels import library
from puna.load import LoadSpec

_log = logging.getLogger(__name__)

_MIN_SIZE = 64 << 20
"""Bytes of weights. Packing fewer is as fast as mapping a file."""

_SUFFIX = ".packed"

_BLOB, _HEX = "sha256-", 64
"""How a blob's file name begins, and the digits that follow."""

_STORE = 8
"""Digits that name a store."""


class RepackCache:
    """A model's file of packed weights, in a folder that all stores share. Failures count as missing."""

    def __init__(self, spec: LoadSpec) -> None:
        self._folder, self._limit = Path(spec.repack), spec.repack_limit
        self._blobs = Path(spec.path).parent
        self.idle = threading.Event()
        """Set once the engine is idle, so that a file may be written."""
        self.file = _file(spec)
        """None if packed weights are not stored."""

    def keep(self, weights: PackedWeights) -> None:
        """Store these weights in a file, if they have none, once the engine is idle."""
        if self.file is None:
            return
        try:
            self._keep(weights, self.file)
        except OSError as error:
            reason = error.strerror or error
            _log.warning("the repack cache in %s cannot be used: %s", self._folder, reason)

    def _keep(self, weights: PackedWeights, file: Path) -> None:
        """Raises OSError."""
        for path in self._folder.glob(f"{_BLOB}*-{_store(self._blobs)}-*{_SUFFIX}"):
            if not (self._blobs / path.name[: len(_BLOB) + _HEX]).exists():
                path.unlink(missing_ok=True)  # Its model was deleted.
        if weights.file is RepackFile.UNUSABLE:
            _log.warning("%s was deleted from the repack cache: it is damaged", file)
            file.unlink(missing_ok=True)
        elif weights.file is not RepackFile.NONE:
            os.utime(file)
            return
        self.idle.wait()
        if weights.size >= _MIN_SIZE and _make_room(self._folder, weights.size, self._limit):
            with atomic_write(file) as aside:
                weights.write(aside)


def _file(spec: LoadSpec) -> Path | None:
    """Its name: the model's file name, its store, and a digest of all that the packed bytes depend on."""
    native = library()
    if not (spec.repack and spec.repack_limit and native):
        return None
    identity = (
        __version__,
        build(),
        _digest(native.read_bytes()),
        file_identity(spec.path),
        str(spec.placed),
    )
    path, digest = Path(spec.path), _digest("\n".join(identity).encode())
    return Path(spec.repack) / f"{path.name}-{_store(path.parent)}-{digest}{_SUFFIX}"


def _store(blobs: Path) -> str:
    """Tells the files of one store from those of another that shares the folder."""
    return _digest(os.fsencode(os.path.realpath(blobs)))[:_STORE]


def _make_room(folder: Path, size: int, limit: int) -> bool:
    """Whether `size` more bytes fit, after deleting the least recently used files. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = cached_files(folder, "*")
    used = sum(state.st_size for state in files.values())
    limit = size_limit(folder, limit, used)
    if size > limit:
        return False
    whole = (path for path in files if path.suffix == _SUFFIX)
    for path in sorted(whole, key=lambda path: files[path].st_mtime):
        if used + size <= limit:
            break
        path.unlink(missing_ok=True)
        used -= files[path].st_size
    return True


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
