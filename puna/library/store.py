"""The library: all models in a folder with Ollama's layout."""

from __future__ import annotations

import builtins
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from puna.errors import BadRequest, InvalidName, LoadFailed, NotFound, PunaError
from puna.library import manifests
from puna.library.blobs import Blobs
from puna.library.durable import make_folder, move, sync_folder, temporary_path, write, write_errors
from puna.library.folders import Folders
from puna.library.lock import file_lock
from puna.library.manifests import Layer
from puna.library.model import Model
from puna.library.names import Name
from puna.library.pins import STALE
from puna.library.reader import Reader
from puna.library.working_folder import abandoned, remove_abandoned

log = logging.getLogger(__name__)

_LOCK = ".puna.lock"
_UNUSED_AGE = 24 * 3600.0
"""Seconds after which a running server removes unused files. No conversion or pull needs them for longer."""


class Library:
    """The models below `root`. A missing root has no models; the first write creates it.

    Methods block on the disk and are thread-safe. Writes raise PunaError if the disk is full or read-only,
    and then leave the library unchanged.
    """

    def __init__(self, root: Path, *, no_prune: bool = False) -> None:
        """`no_prune` (OLLAMA_NOPRUNE): remove blobs only with their models."""
        self.root = root
        self._no_prune = no_prune
        self._thread_lock = threading.Lock()
        self.blobs = Blobs(root / "blobs", self._lock)
        self._manifests = root / "manifests"
        self._folders = Folders()
        self._reader = Reader(self.blobs)

    def resolve(self, name: str | Name) -> Name:
        """The complete name, in the case of the stored manifest. Raises InvalidName."""
        name = Name.parse(name) if isinstance(name, str) else name
        return manifests.resolve_case(self._folders, self._manifests, name)

    def open(self, name: str | Name) -> Model:
        """The model of this name. Raises InvalidName, NotFound, LoadFailed if it is damaged or unreadable."""
        resolved = self.resolve(name)
        content = b""
        while True:
            try:
                return self._complete(resolved, name)
            except LoadFailed:
                # Another process may have replaced the model, and pruned its blobs, since it was read.
                read, content = content, self._read(resolved, _not_found(name))
                if content == read:
                    raise

    def _complete(self, resolved: Name, name: str | Name) -> Model:
        """The model, if it has all its blobs."""
        try:
            model = self._reader.model(resolved, self.manifest_path(resolved))
        except OSError as error:
            raise _read_error(error, _not_found(name)) from None
        for layer in model.layers:
            if not self.blobs.path(layer.digest).is_file():
                raise LoadFailed(f"model '{resolved.display()}' is damaged: {layer.digest} is missing")
        return model

    def list(self) -> builtins.list[Model]:
        """All models, newest first. Omits damaged ones with a warning."""
        models: dict[Name, Model] = {}
        for name, path in manifests.list_manifests(self._folders, self._manifests):
            if name is None:
                log.warning("left out of the list: %s cannot be read", path)
                continue
            try:
                models[name] = self._reader.model(name, path)
            except (OSError, LoadFailed) as error:
                log.warning("left out of the list: %s: %s", name.display(), error)
        self._reader.forget_all_but(models.keys())
        return sorted(models.values(), key=lambda model: model.modified_at, reverse=True)

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name. Raises BadRequest for an invalid name, NotFound without a source."""
        old = self._resolve_for_copy("source", source)
        new = self._resolve_for_copy("destination", destination)
        missing = f'model "{source}" not found'
        self._read(old, missing)
        if old != new:
            with self._lock():
                self._replace(self.resolve(new), self._read(old, missing))

    def delete(self, name: str | Name) -> None:
        """Remove a model, and the blobs that no other model uses. Raises InvalidName, NotFound."""
        resolved = self.resolve(name)
        self._read(resolved, _not_found(name))
        with self._lock():
            content = self._read(resolved, _not_found(name))
            self._unlink(resolved)
            self._release(content)
            self._remove_old()

    def unpin_blobs(self, digests: Iterable[str]) -> None:
        """Unpin these blobs, unless another process has pinned them, too."""
        with suppress(PunaError), self._lock():  # A read-only store has no pins.
            self.blobs.unpin(digests)

    def discard_blobs(self, digests: Iterable[str]) -> None:
        """Remove those of these blobs for which `Blobs.is_new` holds. Raises PunaError."""
        with self._lock():
            for digest in digests:
                self.blobs.discard(digest)

    def write_manifest(self, name: Name, config: dict[str, Any], layers: Sequence[Layer]) -> None:
        """Write the manifest of `name` with these blobs. Raises PunaError if one is missing."""
        digest, size = self.blobs.add([msgspec.json.encode(config) + b"\n"])
        try:
            self._write(name, manifests.encode(Layer(manifests.CONFIG, digest, size), layers))
        except PunaError:
            with suppress(PunaError):
                self.discard_blobs([digest])
            raise

    def write_manifest_bytes(self, name: Name, content: bytes) -> None:
        """Store this manifest of `name` unchanged.

        Raises PunaError if a blob is missing, or if `content` is not a model's manifest.
        """
        try:
            kind = manifests.decode(content).media_type
        except msgspec.DecodeError as error:
            raise PunaError(f"invalid manifest for {name.display()}: {error}") from error
        if kind and kind not in manifests.READABLE:
            raise PunaError(f"invalid manifest for {name.display()}: unsupported media type {kind}")
        self._write(name, content)

    def prune(self) -> None:
        """Remove unfinished files, working folders and unused blobs that are older than an hour.

        Resumable transfers stay for a week, and while a process works on them. With `no_prune`, or while a
        manifest is unreadable, transfers and blobs stay. Raises PunaError if the store is not writable.
        """
        if not self.root.is_dir():
            return
        with self._lock(), write_errors(self.root):
            self.blobs.rename()
            self._remove_unused(STALE)

    def unused(self, age: float = STALE) -> builtins.list[tuple[Path, int]]:
        """The files and folders that `prune` would remove, and their sizes in bytes. Raises OSError.

        They are `age` seconds old, or older.
        """
        files = list(self.blobs.unused(None if self._no_prune else self._used(), age))
        for path in self._manifests.glob(".*-partial"):
            with suppress(FileNotFoundError):
                state = path.stat()
                if time.time() - state.st_mtime > age:
                    files.append((path, state.st_size))
        for folder in abandoned(self.root, age):
            inside = (path.stat() for path in folder.rglob("*") if path.is_file())
            files.append((folder, sum(state.st_size for state in inside if state.st_nlink == 1)))
        return files

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """The store's lock, for changes of manifests and their blobs. One thread of all processes holds it.

        Raises PunaError if the store is not writable.
        """
        with ExitStack() as locks:
            locks.enter_context(self._thread_lock)
            with write_errors(self.root):
                make_folder(self.root)
                locks.enter_context(file_lock(self.root / _LOCK))
            yield

    def manifest_path(self, name: Name) -> Path:
        """The path of a model's manifest."""
        # Joined as text: on Windows `/` would take a host such as "c:" for a drive.
        return Path(f"{self._manifests}/{name.path()}")

    def _read(self, name: Name, missing: str) -> bytes:
        try:
            return self.manifest_path(name).read_bytes()
        except OSError as error:
            raise _read_error(error, missing) from None

    def _write(self, name: Name, content: bytes) -> None:
        with self._lock():  # Otherwise two processes could store one name in two cases.
            self._replace(self.resolve(name), content)
            self._remove_old()

    def _replace(self, name: Name, content: bytes) -> None:
        """Replace a manifest, and remove the blobs that only the old one had."""
        try:
            layers = manifests.decode(content).blobs
        except msgspec.DecodeError as error:
            raise LoadFailed(f"the manifest for '{name.display()}' is damaged: {error}") from error
        self._check(layers)
        path, old = self.manifest_path(name), None
        with suppress(OSError):
            old = path.read_bytes()
        self._put(path, content)
        self._reader.forget(name)
        try:
            # Check again, because Ollama may use the same store, and ignores our lock.
            self._check(layers)
        except PunaError:
            if old is None:
                self._unlink(name)
            else:
                self._put(path, old)
            raise
        self.blobs.unpin(layer.digest for layer in layers)
        if old is not None and old != content and not self._no_prune:
            self._release(old)

    def _check(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            if not self.blobs.path(layer.digest).is_file():
                raise PunaError(f"blob {layer.digest} is missing")

    def _put(self, target: Path, content: bytes) -> None:
        with write_errors(self._manifests), temporary_path(self._manifests, ".") as path:
            with open(path, "xb", buffering=0) as file:
                write(file.fileno(), content)
                os.fsync(file.fileno())
            make_folder(target.parent)
            move(path, target)

    def _unlink(self, name: Name) -> None:
        path = self.manifest_path(name)
        with write_errors(self._manifests):
            path.unlink()
            sync_folder(path.parent)
        for folder in list(path.parents)[:3]:
            with suppress(OSError):  # The folder has other models.
                folder.rmdir()
        self._reader.forget(name)

    def _release(self, content: bytes) -> None:
        """Remove the blobs of a removed manifest, unless they are pinned or another manifest names them."""
        try:
            mine = manifests.decode(content).blobs
        except msgspec.DecodeError:
            return  # `prune` removes its blobs.
        used = self._used()
        for layer in mine:
            if used is not None and self.blobs.path(layer.digest) not in used:
                self.blobs.remove_unless_pinned(layer.digest)

    def _remove_old(self) -> None:
        """Prune after a change: a server that runs for months would keep the source of each quantisation."""
        with suppress(OSError):  # `prune` reports it.
            self._remove_unused(_UNUSED_AGE)

    def _remove_unused(self, age: float) -> None:
        """Remove what `unused` returns. The caller holds the lock. Raises OSError."""
        for path, _ in self.unused(age):
            if path.is_dir():
                remove_abandoned(path)
            else:
                path.unlink(missing_ok=True)

    def _used(self) -> set[Path] | None:
        """The blobs in all manifests; None if a manifest is unreadable, because it may name any blob."""
        digests = manifests.referenced_digests(self._folders, self._manifests)
        return None if digests is None else set(map(self.blobs.path, digests))

    def _resolve_for_copy(self, part: str, name: str) -> Name:
        try:
            return self.resolve(name)
        except InvalidName:
            raise BadRequest(f'{part} "{name}" is invalid') from None


def _not_found(name: str | Name) -> str:
    return f"model '{name if isinstance(name, str) else name.display()}' not found"


def _read_error(error: OSError, missing: str) -> PunaError:
    """The error for a manifest that could not be read: missing, or not permitted."""
    if isinstance(error, PermissionError):
        return LoadFailed(f"cannot read {error.filename}: {error.strerror}")
    return NotFound(missing)
