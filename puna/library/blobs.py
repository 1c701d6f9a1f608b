"""Blobs: files named by the SHA-256 of what they hold, in Ollama's layout (`blobs/sha256-<hex>`)."""

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
from typing import BinaryIO

from puna.errors import BadRequest, NotFound, PunaError
from puna.library.clone import linked, reflinked
from puna.library.durable import aside, make_folder, move, sync, write, writing
from puna.library.hashing import digest_of, digest_of_file

STALE = 3600.0
"""Seconds after which an unfinished file, or a blob no manifest names, is nobody's work in progress."""
RESUMABLE = 7 * 24 * 3600.0
"""Seconds for which a download that was broken off can be taken up again."""

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_DOWNLOAD = re.compile(r"sha256-[0-9a-f]{64}-partial.*")
_CHUNK = 1 << 20


class WrongDigest(BadRequest):
    """A blob is not what it was said to be."""


class Blobs:
    """The blobs in one folder, which is made when the first is written.

    `changing` is locked while a blob appears or is pinned, so that nothing removes it just then.
    """

    def __init__(self, folder: Path, changing: Callable[[], AbstractContextManager[None]]) -> None:
        self.folder = folder
        self._changing = changing
        self._pinned: dict[Path, int] = {}
        self._made: dict[Path, int] = {}
        """Blobs that were not there before, and when they were written: nobody has asked for them since."""

    def path(self, digest: str) -> Path:
        """Where the blob with this digest lies or would lie. Raises BadRequest unless "sha256:<64 hex>"."""
        written = _DIGEST.fullmatch(digest)
        if written is None:
            raise BadRequest("invalid digest format")
        number = written[1].lower()
        old = self._misnamed.get(number)
        return old if old and old.exists() else self.folder / f"sha256-{number}"

    def temporary(self) -> AbstractContextManager[Path]:
        """A path here for a file being made, removed at the end unless `adopt` took it."""
        return aside(self.folder, "sha256-")

    def partial(self, digest: str, suffix: str = "") -> Path:
        """Where a download of this blob is kept until it is whole, `RESUMABLE` after it was last written to.

        The folder is there. Raises BadRequest for what is no digest, PunaError.
        """
        path = self.path(digest)
        with writing(self.folder):
            make_folder(self.folder)
        return self.folder / f"sha256-{path.name[-64:].lower()}-partial{suffix}"

    def add(
        self,
        source: BinaryIO | Iterable[bytes],
        *,
        expected: str | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> tuple[str, int]:
        """Store what `source` yields; its digest ("sha256:<hex>") and size in bytes.

        `on_bytes` gets the bytes written so far, after each piece. Raises BadRequest when the digest is not
        the `expected` one, PunaError when the disk is full; then, as when `source` fails, nothing is left.
        """
        if expected:
            self.path(expected)
        hasher, size = hashlib.sha256(), 0
        with self.temporary() as path:
            with writing(self.folder):
                file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed below, after the source's own errors
            with file:
                for chunk in _chunks(source):
                    with writing(self.folder):
                        write(file.fileno(), chunk)
                    hasher.update(chunk)
                    size += len(chunk)
                    if on_bytes:
                        on_bytes(size)
                digest = f"sha256:{hasher.hexdigest()}"
                expect_digest(expected, digest)
                with writing(self.folder):
                    os.fsync(file.fileno())
            return self._keep(path, digest), size

    def adopt(self, path: Path) -> tuple[str, int]:
        """Turn a file made at a `temporary` path into a blob; its digest and size. Raises PunaError."""
        self._made_here(path)
        with writing(self.folder), open(path, "rb+", buffering=0) as file:
            digest, size = digest_of(file)
            os.fsync(file.fileno())
        return self._keep(path, digest), size

    def place(self, path: Path, digest: str) -> None:
        """Turn a file of this folder that was verified already into the blob `digest`. Raises PunaError."""
        self._made_here(path)
        self.path(digest)
        with writing(self.folder), open(path, "rb+", buffering=0) as file:
            os.fsync(file.fileno())
        self._keep(path, digest)

    def bring(
        self, source: Path, expected: str | None = None, on_bytes: Callable[[int], None] | None = None
    ) -> tuple[str, int]:
        """Make a file of this machine a blob; its digest and size. It is copied only where it must be.

        Where the file system can, the two share their blocks, else their inode: then who later writes into
        the file damages the blob. `on_bytes` gets the bytes read so far. Raises NotFound, BadRequest when it
        is no file, changes while it is read or has another digest than `expected`, PunaError.
        """
        if expected:
            self.path(expected)
        with _readable(source) as file, self.temporary() as path:
            before = os.fstat(file.fileno())

            def read(count: int) -> None:
                if count > before.st_size:  # It may never end.
                    raise BadRequest(f"{source} changed while it was read")
                if on_bytes:
                    on_bytes(count)

            with writing(self.folder):
                shared = reflinked(file.fileno(), path)
                if shared or linked(source, file.fileno(), path):
                    digest, size = digest_of_file(path, read) if shared else digest_of(file, read)
                    sync(path)
                else:
                    with open(path, "xb", buffering=0) as copy:
                        digest, size = digest_of(file, read, copy.fileno())
                        os.fsync(copy.fileno())
            after = os.fstat(file.fileno())
            if not shared and (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, size):
                raise BadRequest(f"{source} changed while it was read")
            expect_digest(expected, digest)
            return self._keep(path, digest), size

    def pin(self, digest: str) -> bool:
        """Whether the blob is there. It then stays for an hour, or until it is unpinned. See `_pin`."""
        path = self.path(digest)
        if not path.is_file():
            return False
        # Where nothing can be written, nothing is removed either.
        with suppress(OSError, PunaError), self._changing():
            self._pin(path, path)
        return path.is_file()

    def unpin(self, digests: Iterable[str]) -> None:
        """Unpin the blobs that only this process pinned, because a manifest names them now."""
        for path in map(self.path, digests):
            self._made.pop(path, None)
            with suppress(OSError):
                if self._pinned.pop(path, None) == path.stat().st_mtime_ns:
                    os.utime(path)

    def made(self, digest: str) -> bool:
        """Whether this process made the blob, no manifest names it, and nobody has asked for it since."""
        path = self.path(digest)
        return path in self._made and self._made[path] == _written(path)

    def discard(self, digest: str) -> None:
        """Remove the blob if it is `made`, while `changing`. Raises PunaError."""
        with writing(self.folder):
            if self.made(digest):
                self.path(digest).unlink(missing_ok=True)

    def remove_unless_pinned(self, digest: str) -> None:
        """Remove a blob that no manifest names, if it is there, while `changing`. Raises PunaError."""
        path = self.path(digest)
        with writing(self.folder), suppress(FileNotFoundError):
            state = path.lstat()
            if state.st_nlink > 1 or state.st_mtime <= time.time():
                path.unlink()

    def rename(self) -> None:
        """Give the blobs of an old store the names of today. Raises OSError."""
        for number, old in self._misnamed.items():
            if old.exists():
                move(old, self.folder / f"sha256-{number}")

    def unused(self, used: Collection[Path] | None) -> Iterator[tuple[Path, int]]:
        """Files older than `STALE`, and their sizes: unfinished ones, and blobs not `used` if that is given.

        Downloads that can be taken up again count once they are older than `RESUMABLE`. Raises OSError.
        """
        for entry in _files(self.folder):
            path = Path(entry.path)
            if not entry.name.startswith("sha256") or (
                _DIGEST.fullmatch(entry.name) and (used is None or path in used)
            ):
                continue
            limit = RESUMABLE if _DOWNLOAD.fullmatch(entry.name) else STALE
            with suppress(FileNotFoundError):
                state = entry.stat()
                if time.time() - touched(state) > limit:
                    yield path, state.st_size

    @cached_property
    def _misnamed(self) -> dict[str, Path]:
        """Blobs of a store older than today's names: "sha256:" before the number, or capitals in it."""
        found: dict[str, Path] = {}
        with suppress(OSError):
            for entry in _files(self.folder):
                written = _DIGEST.fullmatch(entry.name)
                if written and entry.name != f"sha256-{written[1].lower()}":
                    found[written[1].lower()] = Path(entry.path)
        return found

    def _made_here(self, path: Path) -> None:
        if path.parent != self.folder:
            raise ValueError(f"{path} was not made in {self.folder}")

    def _keep(self, path: Path, digest: str) -> str:
        # Over one that is there too: what was just hashed is whole, the other may have been damaged.
        target = self.path(digest)
        with self._changing(), writing(self.folder):
            self._pin(path, target)
            move(path, target)
        return digest

    def _pin(self, path: Path, blob: Path) -> None:
        """Pin the file at `path`, which is or will be `blob`. Raises OSError.

        A time of writing in the future pins it, and every process sees that. A blob that is also a person's
        file keeps its time; the change of its state keeps it from being pruned.
        """
        state = path.stat()
        if state.st_nlink > 1 or path.is_symlink():
            with suppress(OSError):  # Somebody else's, in a store for many.
                path.chmod(stat.S_IMODE(state.st_mode))
        else:
            now, before = time.time_ns(), _written(blob)
            until = now + int(STALE * 1e9)
            os.utime(path, ns=(until, until))
            stamp = path.stat().st_mtime_ns
            if before:
                self._made.pop(blob, None)
            else:
                self._made[blob] = stamp
            if before <= now or before == self._pinned.get(blob):
                self._pinned[blob] = stamp
            else:
                self._pinned.pop(blob, None)  # Another process pinned it: unpinning would be for both.


def touched(state: os.stat_result) -> float:
    """When a blob was last written or pinned, in seconds. A person's own file keeps its times."""
    return state.st_ctime if state.st_nlink > 1 else state.st_mtime


def _written(path: Path) -> int:
    """When a file was last written, in nanoseconds; 0 when it is not there. Raises OSError."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def expect_digest(expected: str | None, digest: str) -> None:
    """Raise WrongDigest when a blob is not the one that was announced."""
    if expected and expected.replace("-", ":").lower() != digest:
        raise WrongDigest(f'digest mismatch, expected "{expected}", got "{digest}"')


def _readable(path: Path) -> FileIO:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # Asked first: opening a pipe would wait for its other end.
            raise BadRequest(f"{path} is not a regular file")
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise NotFound(f"{path} not found") from None
    except (OSError, ValueError) as error:
        raise BadRequest(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error


def _chunks(source: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
    read = getattr(source, "read", None)
    return iter(lambda: read(_CHUNK), b"") if read else iter(source)


def _files(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []
