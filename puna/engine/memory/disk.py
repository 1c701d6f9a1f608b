"""Saved sequences in files: they outlive the engine, and come back in the time of reading them.

Each kind of numbers (model, adapters, types, build) has a folder of its own below the one that all engines
share. A thread writes: aside, then renamed, so that a file is whole or not there. What the machine loses
when it stops, the checksums tell. Files that nobody can use are deleted as they are found.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from puna.engine.memory import prefix_file
from puna.engine.memory.prefix_file import Contents, Header, Unusable

_log = logging.getLogger(__name__)

_SUFFIX = ".kv"
_PARTIAL = ".partial"

_ABANDONED = 3600.0
"""Seconds after which nobody writes a partial file any more."""

_MOST_FILES = 512
"""Of one model that an engine takes notice of, the latest used."""

_FREE = 20
"""One part in so many of the disk stays free, for others."""

_DAY = 86400.0

_MOST_WAITING = 256 << 20
"""Bytes that may wait for the writer, beside what the host keeps anyway."""

_NAME = 32
"""Hexadecimal digits."""

_FOLDERS = "[0-9a-f]" * _NAME
"""Whatever else somebody keeps beside them is not the cache's."""


@dataclass(eq=False)
class File:
    """A sequence's copy on disk, or on its way there."""

    path: Path
    logits: bool
    """It has the logits at the prompt's end."""
    snapshots: tuple[int, ...]
    """Their lengths, in tokens."""
    contents: Contents | None = None
    """Until it is written."""
    gone: bool = False
    """It could not be written or read, or is not wanted any more."""


@dataclass(frozen=True, eq=False)
class _Order:
    """What the writer is to write."""

    file: File
    owner: str
    tokens: bytes
    prompt_tokens: int
    replaces: Sequence[File]


class Disk:
    """The files of one kind of numbers. All methods are for one thread.

    None raises: what the disk refuses is as if it had never been there.
    """

    def __init__(self, folder: Path, model: str, limit: int) -> None:
        """`folder` is what all engines share, `limit` the bytes that all files below it may take.

        `model`: what these numbers depend on, in words.
        """
        self._folder = folder
        self._limit = limit
        self._model = _digest(model.encode())
        self._own = folder / self._model[:_NAME]
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._ordered: list[File] = []
        self._writer: Thread | None = None
        self._failed = False

    def found(self) -> Iterable[tuple[File, Header]]:
        """The files of this model, least recently used first."""
        paths = [(_used(path), path) for path in self._own.glob(f"*{_SUFFIX}")]
        for _, path in sorted(paths)[-_MOST_FILES:]:
            try:
                with open(path, "rb") as opened:
                    header = prefix_file.read_header(opened)
                self._check(path, header)
            except (OSError, Unusable) as error:
                _give_up(path, error)
            else:
                lengths = tuple(length for length, _ in header.snapshots)
                yield File(path, bool(header.logits), lengths), header

    def read(self, file: File) -> Contents | None:
        """What a file holds; None if it is not there any more, or damaged."""
        contents = file.contents
        if contents is not None or file.gone:
            return contents
        try:
            with open(file.path, "rb") as opened:
                header, contents = prefix_file.read(opened)
            self._check(file.path, header)
        except (OSError, Unusable) as error:
            _give_up(file.path, error)
            file.gone = True
            return None
        with suppress(OSError):
            prefix_file.count_use(file.path)
        return contents

    def _check(self, path: Path, header: Header) -> None:
        if header.model != self._model or path.stem != _name(header.owner, header.tokens):
            raise Unusable("it is another's")

    def takes(self, size: int) -> bool:
        """Whether the writer keeps up, so that `size` bytes more may wait for it."""
        waiting = 0
        for file in list(self._ordered):
            contents = file.contents
            if contents is None:
                self._ordered.remove(file)
            else:
                waiting += contents.nbytes
        return not waiting or waiting + size <= _MOST_WAITING

    def store(
        self, contents: Contents, *, owner: str, tokens: bytes, prompt_tokens: int, replaces: Sequence[File]
    ) -> File:
        """Write a sequence as soon as may be, and then delete the files that it `replaces`."""
        lengths = tuple(snapshot.length for snapshot in contents.snapshots)
        path = self._own / f"{_name(owner, tokens)}{_SUFFIX}"
        file = File(path, contents.logits is not None, lengths, contents)
        if self._writer is None:
            self._writer = Thread(target=self._write, daemon=True)
            self._writer.start()
        self._ordered.append(file)
        self._orders.put(_Order(file, owner, tokens, prompt_tokens, replaces))
        return file

    def close(self) -> None:
        """Wait until all is written."""
        if self._writer is not None:
            self._orders.put(None)
            self._writer.join()
            self._writer = None

    def _write(self) -> None:
        while order := self._orders.get():
            file = order.file
            assert file.contents is not None
            try:
                file.gone = not self._written(order, file.contents)
            except OSError as error:
                file.gone = True
                if not self._failed:
                    _log.warning("the prefix cache in %s stops growing: %s", self._folder, error.strerror)
                self._failed = True
            file.contents = None
            if not file.gone:
                for older in order.replaces:
                    older.gone = True
                    if older.path != file.path:
                        _unlink(older.path)

    def _written(self, order: _Order, contents: Contents) -> bool:
        """Whether there was room for a file. Raises OSError."""
        path = order.file.path
        for folder in (self._folder, self._own):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not make_room(self._folder, contents.nbytes + len(order.tokens), self._limit):
            return False
        used = max((prefix_file.uses_and_tokens(older.path)[0] for older in order.replaces), default=0)
        aside = path.with_suffix(f".{os.getpid()}{_PARTIAL}")
        try:
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                prefix_file.write(
                    file,
                    contents,
                    model=self._model,
                    owner=order.owner,
                    tokens=order.tokens,
                    prompt_tokens=order.prompt_tokens,
                    uses=used + 1,
                )
            os.replace(aside, path)
        finally:
            _unlink(aside)
        return True


def _name(owner: str, tokens: bytes) -> str:
    return _digest(owner.encode() + b"\n" + tokens)[:_NAME]


@functools.cache
def owner_digest(owner: str) -> str:
    """What files call an owner: a key's id is nobody else's business."""
    return _digest(owner.encode()) if owner else ""


def make_room(folder: Path, size: int, limit: int) -> bool:
    """Whether `size` more bytes may lie below `folder`; the files of least worth go for it.

    Raises OSError.
    """
    now = time.time()
    files: list[tuple[Path, int, float]] = []
    for path in folder.glob(f"{_FOLDERS}/*"):
        with suppress(OSError):
            state = path.stat()
            if path.suffix == _PARTIAL and now - state.st_mtime > _ABANDONED:
                path.unlink()
            else:
                files.append((path, state.st_size, state.st_mtime))
    disk = shutil.disk_usage(folder)
    taken = sum(size for _, size, _ in files)
    limit = min(limit, taken + disk.free - disk.total // _FREE)
    if size > limit:
        return False
    if taken + size > limit:
        for _, path, its in sorted((_worth(*file, now), file[0], file[1]) for file in files):
            if path.suffix == _SUFFIX and taken + size > limit:
                _unlink(path)
                taken -= its
    return taken + size <= limit


def _worth(path: Path, size: int, used: float, now: float) -> float:
    """Tokens that a file saves times its uses, for each byte; half of it a day after the last one."""
    uses, tokens = prefix_file.uses_and_tokens(path)
    return uses * tokens / max(1, size) * 0.5 ** max(0.0, (now - used) / _DAY)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _give_up(path: Path, reason: OSError | Unusable) -> None:
    """Delete a file that is no good. One that another engine has deleted is no news."""
    if isinstance(reason, Unusable):
        _log.warning("%s was deleted from the prefix cache: %s", path, reason)
        _unlink(path)
    elif not isinstance(reason, FileNotFoundError):
        _log.warning("%s in the prefix cache cannot be read: %s", path, reason.strerror)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()
