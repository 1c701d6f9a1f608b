"""The GGUF files of a new model: a recipe's files, merged or converted if necessary."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from posixpath import commonpath, dirname, relpath
from typing import NamedTuple

from puna.errors import BadRequest, LoadFailed
from puna.gguf import Metadata, cached_metadata
from puna.library.durable import write_errors
from puna.library.split import Shard, merge, order_shards, split_count, stem
from puna.library.store import Library
from puna.library.working_folder import working_folder
from puna.types import Progress, Report

_MAGIC = b"GGUF"


class ModelPart(NamedTuple):
    """A GGUF file that becomes a layer. Without a `digest` it is a temporary file, not yet a blob."""

    kind: str
    """The layer's kind: "model", "projector", "adapter" or "draft"."""
    path: Path
    metadata: Metadata
    digest: str = ""
    source: str = ""
    """The name of its original file, or of the model of origin."""


class PartBuilder:
    """Builds parts. The end of `cleanup` removes temporary files that have not become blobs."""

    def __init__(self, library: Library, report: Report, cleanup: ExitStack) -> None:
        self.library, self.report, self._cleanup = library, report, cleanup

    def temporary(self) -> Path:
        return self._cleanup.enter_context(self.library.blobs.temporary())

    def model(self, files: dict[str, str]) -> list[ModelPart]:
        """The parts in `files`, exactly one of them a model. Raises BadRequest naming the file."""
        checkpoint, ggufs = self._divide(files)
        parts = [*(self._convert(checkpoint) if checkpoint else []), *self._ggufs(ggufs)]
        models = [part.source or "the safetensors" for part in parts if part.kind == "model"]
        if len(models) > 1:
            raise BadRequest(f"more than one model: {', '.join(models)}")
        if not models:
            raise BadRequest("no base model was found")
        return parts

    def adapters(self, files: dict[str, str], base: Metadata) -> list[ModelPart]:
        """The LoRA adapters in `files`, for the model `base`. Raises BadRequest naming the file."""
        if not files:
            return []
        checkpoint, files = self._divide(files)
        folders: dict[str, dict[str, str]] = {}
        for name, digest in checkpoint.items():
            folder, _, file = name.rpartition("/")
            folders.setdefault(folder, {})[file] = digest
        parts = [self._convert_adapter(folder, base) for folder in folders.values() if _has_weights(folder)]
        for part in self._ggufs(files):
            if part.kind != "adapter":
                raise BadRequest(f"{part.source}: not a LoRA adapter")
            parts.append(part)
        return parts

    def _divide(self, files: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """The files of safetensors, by their names below their common folder, and the GGUF files.

        Pins all blobs. Raises BadRequest for other formats.
        """
        for name, digest in files.items():
            if not self.library.blobs.pin(digest):
                raise BadRequest(f"{name}: blob {digest} not found")
        ggufs = {name for name, digest in files.items() if name.endswith(".gguf") or self._is_gguf(digest)}
        checkpoint = [name for name in files if name not in ggufs]
        if _has_weights(checkpoint):
            root = commonpath([f"/{dirname(name)}" for name in checkpoint])
            relative = {relpath(f"/{name}", root): files[name] for name in checkpoint}
            return relative, {name: files[name] for name in files if name in ggufs}
        if ggufs:
            return {}, files
        raise BadRequest(f"unknown type: neither safetensors nor GGUF: {', '.join(files)}")

    def _is_gguf(self, digest: str) -> bool:
        with open(self.library.blobs.path(digest), "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC

    def _ggufs(self, files: dict[str, str]) -> list[ModelPart]:
        whole: list[ModelPart] = []
        split: dict[str, list[Shard]] = {}
        for name, digest in files.items():
            self.report(Progress(status="parsing GGUF"))
            if not self._is_gguf(digest):
                raise BadRequest(f"{name}: supplied file was not in GGUF format")
            path = self.library.blobs.path(digest)
            metadata = _read(name, path)
            shard = Shard(name, path, metadata)
            if split_count(metadata) > 1:
                split.setdefault(stem(shard), []).append(shard)
            else:
                whole.append(ModelPart(_kind(name, metadata), path, metadata, digest, name))
        return whole + [self._merge(shards) for shards in split.values()]

    def _merge(self, shards: list[Shard]) -> ModelPart:
        parts, path = order_shards(shards), self.temporary()
        with write_errors(self.library.root):
            merge(parts, path, _bar(self.report, "merging GGUF parts"))
        name = parts[0].name
        metadata = _read(name, path)
        return ModelPart(_kind(name, metadata), path, metadata, "", name)

    def _convert(self, files: dict[str, str]) -> list[ModelPart]:
        from puna.library.convert import convert, convert_projector

        status, model, projector = "converting model", self.temporary(), self.temporary()
        self.report(Progress(status=status))
        with self.checkpoint_folder(files) as folder:
            convert(folder, model, _bar(self.report, status))
            vision = convert_projector(folder, projector, _bar(self.report, status))
        parts = [ModelPart("model", model, cached_metadata(model))]
        return [*parts, ModelPart("projector", projector, cached_metadata(projector))] if vision else parts

    def _convert_adapter(self, files: dict[str, str], base: Metadata) -> ModelPart:
        from puna.library.convert import convert_adapter

        status, path = "converting adapter", self.temporary()
        self.report(Progress(status=status))
        with self.checkpoint_folder(files) as folder:
            convert_adapter(folder, path, base, _bar(self.report, status))
        return ModelPart("adapter", path, cached_metadata(path))

    @contextmanager
    def checkpoint_folder(self, files: dict[str, str]) -> Iterator[Path]:
        """A folder with the blobs under their file names."""

        def on_wait() -> None:
            self.report(Progress(status="waiting for another model to be converted"))

        with write_errors(self.library.root), working_folder(self.library.root, "convert", on_wait) as folder:
            for name, digest in files.items():
                path = folder / name
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    _link(self.library.blobs.path(digest), path)
                except (FileExistsError, NotADirectoryError):
                    raise BadRequest(f"{name}: a file and a folder have the same name") from None
            yield folder


def quantize_part(part: ModelPart, kind: str, builder: PartBuilder, quantize: Quantize) -> ModelPart:
    """The model in `part` with its weights stored as `kind`. Raises BadRequest unless they are floats."""
    have = part.metadata.precision
    if not have:
        raise BadRequest("quantization is only supported for F16, BF16 and F32 models")
    if part.metadata.projector_inside:
        raise BadRequest(
            f"{part.source}: it keeps its projector inside, and libllama quantizes a language model alone; "
            "create it from the safetensors, or from a GGUF file without the projector"
        )
    if have == part.metadata.quantization == kind:
        return part
    path, size = builder.temporary(), part.path.stat().st_size
    status = f"quantizing {have} model to {kind}"

    def on_progress(done: int, total: int) -> None:
        completed = size * done // max(total, 1)
        builder.report(Progress(status=status, digest=_NO_DIGEST, total=size, completed=completed))

    quantize(part.path, path, kind, on_progress)
    if not part.digest:
        part.path.unlink(missing_ok=True)  # Free the unquantized copy now.
    builder.report(Progress(status="verifying conversion"))
    return ModelPart(part.kind, path, cached_metadata(path))


def _has_weights(files: Iterable[str]) -> bool:
    return any(name.endswith(".safetensors") for name in files)


Quantize = Callable[[Path, Path, str, Callable[[int, int], None]], None]
"""Quantizes a file: source, target, kind, and a callback with the work done and the total."""

_NO_DIGEST = "0" * 19
"""Ollama's wording; its clients draw a bar for each digest."""


def _kind(name: str, metadata: Metadata) -> str:
    """The layer's kind for a GGUF file (Ollama server/create.go, isProjectorGGUF). Raises BadRequest."""
    kind = metadata.get("general.type")
    if kind == "adapter":
        return "adapter"
    if kind in ("projector", "mmproj"):
        return "projector"
    if metadata.architecture == "unknown":
        raise BadRequest(f"{name}: it does not say which architecture it is of")
    if not metadata.arch("block_count"):
        encodes = metadata.arch("has_vision_encoder") or metadata.arch("has_audio_encoder")
        if metadata.arch("vision.block_count") or (metadata.architecture == "clip" and encodes):
            return "projector"
    return "model"


def _read(name: str, path: Path) -> Metadata:
    try:
        return cached_metadata(path)
    except LoadFailed as error:
        raise BadRequest(str(error).replace(str(path), name)) from None


def _link(blob: Path, path: Path) -> None:
    try:
        os.link(blob, path)
    except FileExistsError:
        raise
    except OSError:  # A file system without links.
        shutil.copyfile(blob, path)


def _bar(report: Report, status: str) -> Callable[[int, int], None]:
    return lambda done, total: report(Progress(status=status, total=total, completed=done))
