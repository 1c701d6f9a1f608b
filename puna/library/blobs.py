"""Blobs: files named by the SHA-256 of their content, in Ollama's layout (`blobs/sha256-<hex>`)."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from io import FileIO
from pathlib import Path

from puna.errors import BadRequest, NotFound, PunaError
from puna.library.clone import hard_link, reflink
from puna.library.durable import make_folder, move, sync, temporary_path, write, write_errors
from puna.library.hashing import digest_of, digest_of_file
from puna.library.lock import is_locked
from puna.library.pins import Pins, is_pinned, last_change

RESUMABLE = 7 * 24 * 3600.0
"""Seconds after which an interrupted download may be removed."""

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_PARTIAL = re.compile(r"sha256-[0-9a-f]{64}-partial")


class WrongDigest(BadRequest):
    """A blob does not have the expected digest."""


class Blobs:
    """The blobs in one folder, which is created with the first one.

    `lock` is the store's lock. It is held while a blob is added or pinned, so that nobody removes it
    then.
    """

    def __init__(self, folder: Path, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self.folder = folder
        self._lock = lock
        self._pins = Pins()

    def path(self, digest: str) -> Path:
        """The path of the blob with this digest. Raises BadRequest unless it is "sha256:<64 hex>"."""
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise BadRequest("invalid digest format")
        number = match[1].lower()
        old = self._misnamed.get(number)
        return old if old and old.exists() else self.folder / f"sha256-{number}"

    def temporary(self) -> AbstractContextManager[Path]:
        """A path for a temporary file, removed at the end unless `adopt` took it."""
        return temporary_path(self.folder, "sha256-")

    def partial(self, digest: str, suffix: str = "") -> Path:
        """The path of an unfinished download of this blob, kept for `RESUMABLE` after the last write.

        Creates the folder. Raises BadRequest for an invalid digest, PunaError.
        """
        path = self.path(digest)
        with write_errors(self.folder):
            make_folder(self.folder)
        return self.folder / f"sha256-{path.name[-64:].lower()}-partial{suffix}"

    def add(self, pieces: Iterable[bytes], *, expected: str | None = None) -> tuple[str, int]:
        """Store `pieces` as one blob; returns the digest ("sha256:<hex>") and the size in bytes.

        Raises WrongDigest if the digest is not the `expected` one, PunaError if the disk is full. Leaves
        nothing after an error.
        """
        if expected:
            self.path(expected)
        hasher, size = hashlib.sha256(), 0
        with self.temporary() as path:
            with write_errors(self.folder):
                file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed below, after the pieces' own errors
            with file:
                for piece in pieces:
                    with write_errors(self.folder):
                        write(file.fileno(), piece)
                    hasher.update(piece)
                    size += len(piece)
                digest = f"sha256:{hasher.hexdigest()}"
                expect_digest(expected, digest)
                with write_errors(self.folder):
                    os.fsync(file.fileno())
            return self._keep(path, digest), size

    def adopt(self, path: Path) -> tuple[str, int]:
        """Turn a `temporary` file into a blob; returns digest and size. Raises PunaError."""
        self._check_folder(path)
        with write_errors(self.folder), open(path, "rb+", buffering=0) as file:
            digest, size = digest_of(file)
            os.fsync(file.fileno())
        return self._keep(path, digest), size

    def place(self, path: Path, digest: str) -> None:
        """Turn a verified file of this folder into the blob `digest`. Raises PunaError."""
        self._check_folder(path)
        self.path(digest)
        with write_errors(self.folder), open(path, "rb+", buffering=0) as file:
            os.fsync(file.fileno())
        self._keep(path, digest)

    def import_file(self, source: Path, expected: str | None = None) -> tuple[str, int]:
        """Import a local file as a blob, without copying if possible; returns digest and size.

        It is reflinked if the file system can, otherwise hard-linked. Writing to a hard-linked file damages
        the blob. Raises NotFound, PunaError, WrongDigest, and BadRequest if `source` is not a regular file or
        changes while it is read.
        """
        if expected:
            self.path(expected)
        with _readable(source) as file, self.temporary() as path:
            before = os.fstat(file.fileno())

            def check(count: int) -> None:
                if count > before.st_size:  # It may grow for ever.
                    raise BadRequest(f"{source} changed while it was read")

            with write_errors(self.folder):
                shared = reflink(file.fileno(), path)
                if shared or hard_link(source, file.fileno(), path):
                    digest, size = digest_of_file(path, check) if shared else digest_of(file, check)
                    sync(path)
                else:
                    with open(path, "xb", buffering=0) as copy:
                        digest, size = digest_of(file, check, copy.fileno())
                        os.fsync(copy.fileno())
            after = os.fstat(file.fileno())
            if not shared and (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, size):
                raise BadRequest(f"{source} changed while it was read")
            expect_digest(expected, digest)
            return self._keep(path, digest), size

    def pin(self, digest: str) -> bool:
        """Pin a blob; False if it does not exist.

        A pin lasts for an hour, or until a manifest names the blob. Until then, deleting a model does not
        remove it. New blobs are pinned. A hard-linked blob (`import_file`) is protected only from pruning.
        """
        path = self.path(digest)
        if not path.is_file():
            return False
        # A read-only store removes nothing.
        with suppress(OSError, PunaError), self._lock():
            self._pins.add(path, path)
        return path.is_file()

    def unpin(self, digests: Iterable[str]) -> None:
        """Unpin the blobs that only this process pinned, because a manifest names them now."""
        for path in map(self.path, digests):
            self._pins.remove(path)

    def is_new(self, digest: str) -> bool:
        """Whether this process created the blob, and no manifest or request has named it since."""
        return self._pins.is_new(self.path(digest))

    def discard(self, digest: str) -> None:
        """Remove the blob if it is `is_new`. The caller holds `lock`. Raises PunaError."""
        with write_errors(self.folder):
            if self.is_new(digest):
                self.path(digest).unlink(missing_ok=True)

    def remove_unless_pinned(self, digest: str) -> None:
        """Remove a blob without a manifest, unless it is pinned. The caller holds `lock`."""
        path = self.path(digest)
        with write_errors(self.folder), suppress(FileNotFoundError):
            if not is_pinned(path.lstat()):
                path.unlink()

    def rename(self) -> None:
        """Rename the blobs of an old store. Raises OSError."""
        for number, old in self._misnamed.items():
            if old.exists():
                move(old, self.folder / f"sha256-{number}")

    def unused(self, used: Collection[Path] | None, age: float) -> Iterator[tuple[Path, int]]:
        """Unfinished files and blobs not in `used` that are older than `age`, with their sizes in bytes.

        Includes resumable transfers that are older than `RESUMABLE` and locked by no process. If `used` is
        None, excludes blobs and transfers. Raises OSError.
        """
        for entry in _files(self.folder):
            path = Path(entry.path)
            if not entry.name.startswith("sha256") or (
                _DIGEST.fullmatch(entry.name) and (used is None or path in used)
            ):
                continue
            transfer = _PARTIAL.match(entry.name)
            if transfer and (used is None or self._is_under_way(transfer[0])):
                continue
            limit = RESUMABLE if transfer else age
            with suppress(FileNotFoundError):
                state = entry.stat()
                if time.time() - last_change(state) > limit:
                    yield path, state.st_size

    def _is_under_way(self, partial: str) -> bool:
        """Whether a process has locked one of the files of a transfer. Raises OSError."""
        return any(map(is_locked, self.folder.glob(f"{partial}*")))

    @cached_property
    def _misnamed(self) -> dict[str, Path]:
        """Blobs with old names: "sha256:" or capital digits."""
        paths: dict[str, Path] = {}
        with suppress(OSError):
            for entry in _files(self.folder):
                match = _DIGEST.fullmatch(entry.name)
                if match and entry.name != f"sha256-{match[1].lower()}":
                    paths[match[1].lower()] = Path(entry.path)
        return paths

    def _check_folder(self, path: Path) -> None:
        if path.parent != self.folder:
            raise ValueError(f"{path} was not made in {self.folder}")

    def _keep(self, path: Path, digest: str) -> str:
        # Replaces an existing blob, because that may be damaged, and this one was just verified.
        target = self.path(digest)
        with self._lock(), write_errors(self.folder):
            self._pins.add(path, target)
            move(path, target)
        return digest


def expect_digest(expected: str | None, digest: str) -> None:
    """Raises WrongDigest when the digests differ."""
    if expected and expected.replace("-", ":").lower() != digest:
        raise WrongDigest(f'digest mismatch, expected "{expected}", got "{digest}"')


def _readable(path: Path) -> FileIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # Checked first, because opening a pipe blocks.
            raise BadRequest(f"{path} is not a regular file")
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise NotFound(f"{path} not found") from None
    except (OSError, ValueError) as error:
        raise BadRequest(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error


def _files(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []
