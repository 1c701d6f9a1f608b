"""The library: every model in a folder laid out as Ollama lays it out."""

from __future__ import annotations

import builtins
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from puna.library import manifests
from puna.library.blobs import STALE, Blobs
from puna.library.durable import aside, make_folder, move, sync_folder, write, writing
from puna.library.manifests import Layer, Manifest
from puna.library.model import Model
from puna.library.names import Name
from puna.types import BadRequest, InvalidName, LoadFailed, NotFound, PunaError

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


class Library:
    """The models below `root`. Nothing is created until something is written; a missing root has no models.

    Its methods block on the disk and may be called from any thread. Writing raises PunaError when the disk
    is full or refuses, and leaves the library as it was.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = Blobs(root / "blobs")
        self._manifests = root / "manifests"
        self._known: dict[Name, tuple[_Stamp, Model]] = {}
        # Held while blobs are checked and a manifest written, or a manifest removed and its blobs with it.
        self._changing = threading.Lock()

    def resolve(self, name: str | Name) -> Name:
        """The whole name, each part in the case it is stored in if it is stored. Raises InvalidName."""
        return manifests.spelled(self._manifests, Name.parse(name) if isinstance(name, str) else name)

    def open(self, name: str | Name) -> Model:
        """The model of this name. Raises InvalidName, NotFound, and LoadFailed when it is damaged."""
        found = self.resolve(name)
        try:
            model = self._model(found, os.stat(self._path(found)))
        except OSError:
            raise NotFound(_not_found(name)) from None
        for layer in model.layers:
            if not self.blob_path(layer.digest).is_file():
                raise LoadFailed(f"model '{found.display()}' is damaged: {layer.digest} is missing")
        return model

    def list(self) -> builtins.list[Model]:
        """Every model, the newest first. Damaged ones are left out, with a warning."""
        models = []
        for name, entry in manifests.stored(self._manifests):
            try:
                models.append(self._model(name, entry.stat()))
            except (OSError, LoadFailed) as error:
                log.warning("left out of the list: %s: %s", name.display(), error)
        names = {model.name for model in models}
        self._known = {name: known for name, known in self._known.items() if name in names}
        return sorted(models, key=lambda model: model.modified_at, reverse=True)

    def copy(self, source: str, destination: str) -> None:
        """Give a model a second name. Raises BadRequest for an invalid name, NotFound for no source."""
        old = self._resolve_for_copy("source", source)
        new = self._resolve_for_copy("destination", destination)
        with self._changing:
            try:
                content = self._path(old).read_bytes()
            except OSError:
                raise NotFound(f'model "{source}" not found') from None
            if old != new:
                self._write_manifest(new, content)

    def delete(self, name: str | Name) -> None:
        """Remove a model, and the blobs no other model has. Raises InvalidName, NotFound."""
        found = self.resolve(name)
        path = self._path(found)
        with self._changing:
            try:
                content = path.read_bytes()
            except OSError:
                raise NotFound(_not_found(name)) from None
            with writing(self._manifests):
                path.unlink()
                sync_folder(path.parent)
            for folder in list(path.parents)[:3]:
                with suppress(OSError):  # It still holds another model.
                    folder.rmdir()
            self._known.pop(found, None)
            try:
                mine = manifests.decode(content).blobs
            except msgspec.DecodeError:
                return  # `prune` finds what it had.
            used = self._used(self._stored())
            for layer in mine:
                if self.blob_path(layer.digest) not in used:
                    self._blobs.remove(layer.digest)

    def blob_path(self, digest: str) -> Path:
        """Where the blob with this digest lies or would lie. Raises BadRequest unless "sha256:<64 hex>"."""
        return self._blobs.path(digest)

    def add_blob(
        self,
        source: BinaryIO | Iterable[bytes],
        *,
        expected: str | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> tuple[str, int]:
        """Store what `source` yields; its digest and size. See `Blobs.add`."""
        return self._blobs.add(source, expected=expected, on_bytes=on_bytes)

    def adopt_blob(self, path: Path) -> tuple[str, int]:
        """Turn a file made at a `temporary` path into a blob; its digest and size."""
        return self._blobs.adopt(path)

    def temporary(self) -> AbstractContextManager[Path]:
        """A path for a file being made, removed at the end unless `adopt_blob` took it."""
        return self._blobs.temporary()

    def write_manifest(self, name: Name, config: dict[str, Any], layers: Sequence[Layer]) -> None:
        """Make `name` the model of these blobs, which are all there. Raises PunaError when one is not."""
        digest, size = self.add_blob([msgspec.json.encode(config) + b"\n"])
        name = self.resolve(name)
        with self._changing:
            for layer in layers:
                if not self.blob_path(layer.digest).is_file():
                    raise PunaError(f"blob {layer.digest} is missing")
            self._write_manifest(name, manifests.encode(Layer(manifests.CONFIG, digest, size), layers))

    def prune(self, *, no_prune: bool = False) -> None:
        """Remove unfinished files and blobs of no model, an hour after they were last touched.

        With `no_prune` (OLLAMA_NOPRUNE), or while a manifest cannot be read, every blob stays.
        """
        with self._changing:
            stored = list(self._stored())
            keep_blobs = no_prune or None in stored
            self._blobs.prune(None if keep_blobs else self._used(stored))
            with writing(self._manifests):
                for path in self._manifests.glob(".*-partial"):
                    if time.time() - path.stat().st_mtime > STALE:
                        path.unlink(missing_ok=True)

    def _path(self, name: Name) -> Path:
        # Joined as text: on Windows `/` would take a host such as "c:" for a drive.
        return Path(f"{self._manifests}/{name.path()}")

    def _model(self, name: Name, state: os.stat_result) -> Model:
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        known = self._known.get(name)
        if known and known[0] == stamp:
            return known[1]
        content = self._path(name).read_bytes()
        try:
            manifest = manifests.decode(content)
            about = manifest.config.digest and self.blob_path(manifest.config.digest).read_bytes()
            config = msgspec.json.decode(about, type=dict[str, Any]) if about else {}
        except (msgspec.DecodeError, OSError) as error:
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
        self._known[name] = (stamp, model)
        return model

    def _write_manifest(self, name: Name, content: bytes) -> None:
        target = self._path(name)
        with writing(self._manifests), aside(self._manifests, ".") as path:
            with open(path, "xb", buffering=0) as file:
                write(file.fileno(), content)
                os.fsync(file.fileno())
            make_folder(target.parent)
            move(path, target)
        self._known.pop(name, None)

    def _stored(self) -> Iterator[Manifest | None]:
        """Every manifest, None for one that cannot be read."""
        for _, entry in manifests.stored(self._manifests):
            try:
                yield manifests.decode(Path(entry.path).read_bytes())
            except (OSError, msgspec.DecodeError):
                yield None

    def _used(self, stored: Iterable[Manifest | None]) -> set[Path]:
        return {self.blob_path(layer.digest) for manifest in stored if manifest for layer in manifest.blobs}

    def _resolve_for_copy(self, part: str, name: str) -> Name:
        try:
            return self.resolve(name)
        except InvalidName:
            raise BadRequest(f'{part} "{name}" is invalid') from None


def _not_found(name: str | Name) -> str:
    return f"model '{name if isinstance(name, str) else name.display()}' not found"
