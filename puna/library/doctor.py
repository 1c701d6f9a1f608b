"""Checks and repairs a store: manifests, blobs against their digests, and stray files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from puna.errors import InvalidName, LoadFailed, PunaError
from puna.gguf import read_metadata
from puna.library import manifests
from puna.library.hashing import digest_of_file
from puna.library.manifests import IMAGE, Layer
from puna.library.names import Name
from puna.library.registry.restore import missing_blobs
from puna.library.store import Library
from puna.types import Progress, Report

_GGUF = {IMAGE + "model", IMAGE + "projector", IMAGE + "draft"}

FindingKind = Literal["manifest", "missing", "damaged", "header", "permission", "unused", "foreign"]
_PULLED: set[FindingKind] = {"manifest", "missing", "damaged"}
"""Repaired by pulling the model again."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A problem in a store."""

    kind: FindingKind
    path: Path
    problem: str
    """A message that names the model and the file or blob."""
    models: tuple[Name, ...] = ()
    """The affected models."""
    size: int = 0
    """Bytes freed by removing an "unused" file."""


class RepairResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result for a finding. `note` says what Puna did, or what the user can do."""

    finding: Finding
    fixed: bool
    note: str


def check(library: Library, report: Report) -> list[Finding]:
    """The problems of the store, damaged models first. Reads every blob of a model; changes nothing.

    `report` gets the total bytes and the bytes read so far. Ignores unused files younger than an hour, which
    may be in progress. Raises PunaError if the store cannot be read.
    """
    try:
        return list(_findings(library, report))
    except OSError as error:
        raise PunaError(f"cannot read {error.filename or library.root}: {error.strerror}") from error


def repair(
    library: Library, findings: Iterable[Finding], pull: Callable[[Name], None] | None = None
) -> list[RepairResult]:
    """Remove damaged and unused blobs, make files readable, and `pull` the affected models.

    Only `pull` replaces an unreadable manifest. While there is one, no blob is removed. The notes report
    failures, including those of `pull`.
    """
    problems = list(findings)
    failures: dict[Path | Name, str] = {}
    for finding in problems:
        try:
            _prepare(finding)
        except (OSError, PunaError) as error:
            failures[finding.path] = _reason(error)
    suffering = [name for finding in problems if finding.kind in _PULLED for name in finding.models]
    for name in dict.fromkeys(suffering):
        try:
            if pull and not _whole(library, name):
                pull(name)
        except PunaError as error:
            failures[name] = str(error)
    try:
        library.prune()
    except PunaError as error:
        failures.update({finding.path: str(error) for finding in problems if finding.kind == "unused"})
    return [_outcome(library, finding, failures) for finding in problems]


@dataclass
class _Blob:
    """A blob and the manifests that name it."""

    path: Path
    uses: list[tuple[Name, Layer]] = field(default_factory=list)

    @property
    def models(self) -> tuple[Name, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.uses))

    @property
    def title(self) -> str:
        return f"{_titles(self.models)}: blob {_digest(self.path)}"


def _findings(library: Library, report: Report) -> Iterator[Finding]:
    blobs: dict[Path, _Blob] = {}
    foreign: list[Path] = []
    for path, name in _manifests(library.root / "manifests"):
        if name is None:
            foreign.append(path)
        elif path.exists() and not _readable(path):
            yield _permission_finding(path, (name,))
        else:
            try:
                layers = manifests.decode(path.read_bytes()).blobs
            except (OSError, msgspec.DecodeError) as error:
                problem = f"{name.display()}: the manifest {path} is damaged: {_reason(error)}"
                yield Finding(kind="manifest", path=path, problem=problem, models=(name,))
                continue
            for layer in layers:
                where = library.blobs.path(layer.digest)
                blobs.setdefault(where, _Blob(where)).uses.append((name, layer))
    there: list[_Blob] = []
    for blob in blobs.values():
        if not blob.path.is_file():
            yield Finding(
                kind="missing", path=blob.path, problem=f"{blob.title} is missing", models=blob.models
            )
        elif not _readable(blob.path):
            yield _permission_finding(blob.path, blob.models)
        else:
            there.append(blob)
    yield from _contents(there, report)
    for path, size in library.unused():
        partial = path.name.endswith("-partial") or len(path.name) != len("sha256-") + 64
        what = f"{path} was never finished" if partial else f"blob {_digest(path)} is of no model"
        yield Finding(kind="unused", path=path, problem=what, size=size)
    folder = library.root / "blobs"
    if folder.is_dir():
        foreign += [path for path in folder.iterdir() if path.is_dir() or not path.name.startswith("sha256")]
    for path in foreign:
        yield Finding(kind="foreign", path=path, problem=f"{path} does not belong in a model store")


def _manifests(root: Path) -> Iterator[tuple[Path, Name | None]]:
    """Every file below `root`; with a model's name if its path is that of a manifest."""

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for folder, _, files in os.walk(root, onerror=fail):
        for file in sorted(files):
            path = Path(folder, file)
            try:
                yield path, Name.from_path(path.relative_to(root).as_posix())
            except InvalidName:
                if not file.endswith("-partial"):
                    yield path, None


def _contents(blobs: list[_Blob], report: Report) -> Iterator[Finding]:
    """Problems inside the readable blobs."""
    total, before = sum(blob.path.stat().st_size for blob in blobs), 0
    for blob in blobs:

        def on_bytes(count: int, digest: str = _digest(blob.path), before: int = before) -> None:
            report(Progress(status="checking", digest=digest, total=total, completed=before + count))

        try:
            digest, size = digest_of_file(blob.path, on_bytes)
        except (OSError, PunaError) as error:
            if blob.path.exists():  # Otherwise its model was removed meanwhile.
                problem = f"{blob.title} cannot be read: {_reason(error)}"
                yield Finding(kind="damaged", path=blob.path, problem=problem, models=blob.models)
            continue
        before += size
        if digest != _digest(blob.path):
            problem = f"{blob.title} is damaged: {size} bytes with digest {digest}"
            yield Finding(kind="damaged", path=blob.path, problem=problem, models=blob.models)
            continue
        for name, layer in blob.uses:
            if layer.size != size:
                problem = f"{name.display()}: blob {layer.digest} has {size} bytes, not {layer.size}"
                yield Finding(kind="manifest", path=blob.path, problem=problem, models=(name,))
        if any(layer.media_type in _GGUF for _, layer in blob.uses):
            try:
                read_metadata(blob.path)
            except LoadFailed as error:
                problem = f"{_titles(blob.models)}: {error}"
                yield Finding(kind="header", path=blob.path, problem=problem, models=blob.models)


def _prepare(finding: Finding) -> None:
    """Do the repairs that precede pulls. Raises OSError, PunaError."""
    if finding.kind == "damaged" and digest_of_file(finding.path)[0] != _digest(finding.path):  # still
        finding.path.unlink()
    elif finding.kind == "permission":
        finding.path.chmod(stat.S_IMODE(finding.path.stat().st_mode) | 0o644)


def _outcome(library: Library, finding: Finding, failures: dict[Path | Name, str]) -> RepairResult:
    failure = failures.get(finding.path, "")
    if finding.kind == "foreign":
        return RepairResult(finding=finding, fixed=True, note="left alone")
    if finding.kind == "header":
        command = _commands("rm", finding.models)
        note = f"the file was stored like this: {command}, then get it elsewhere"
        return RepairResult(finding=finding, fixed=False, note=note)
    if finding.kind == "permission":
        return RepairResult(finding=finding, fixed=not failure, note=failure or "made readable")
    if finding.kind == "unused":
        gone = not finding.path.exists()
        return RepairResult(finding=finding, fixed=gone, note="removed" if gone else failure or "kept")
    broken = [name for name in finding.models if not _whole(library, name)]
    if not broken and not failure:
        return RepairResult(finding=finding, fixed=True, note="pulled again")
    reasons = [failure, *(failures.get(name, "") for name in broken)]
    removed = "removed" if finding.kind == "damaged" and not finding.path.exists() else ""
    advice = f"to get it again: {_commands('pull', broken or finding.models)}"
    note = "; ".join(filter(None, [removed, *dict.fromkeys(reasons), advice]))
    return RepairResult(finding=finding, fixed=False, note=note)


def _whole(library: Library, name: Name) -> bool:
    """Whether the model has all its blobs, with the sizes in its manifest."""
    return missing_blobs(library, name) == []


def _digest(path: Path) -> str:
    return f"sha256:{path.name[-64:].lower()}"


def _readable(path: Path) -> bool:
    """Whether this user and the file's owner can read it. The server often runs as another user."""
    return os.access(path, os.R_OK) and bool(path.stat().st_mode & stat.S_IRUSR)


def _permission_finding(path: Path, models: tuple[Name, ...]) -> Finding:
    mode = stat.filemode(path.stat().st_mode)
    problem = f"{_titles(models)}: {path} cannot be read: its mode is {mode}"
    return Finding(kind="permission", path=path, problem=problem, models=models)


def _titles(models: Iterable[Name]) -> str:
    return ", ".join(name.display() for name in models)


def _commands(verb: str, models: Iterable[Name]) -> str:
    return " and ".join(f"`puna {verb} {name.display()}`" for name in models)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
