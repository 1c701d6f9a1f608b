"""Saved sequences in files: they outlive the engine, and come back in the time of reading them.

Each kind of numbers (model, adapters, types, build) has a folder of its own below the one that all engines
share. A file has one segment of a sequence and names the one that it builds on, so that a longer conversation
only writes what is new. A thread writes: aside, then renamed, so that a file is whole or not there. Another
one reads. What the machine loses when it stops, the checksums tell. Files that nobody can use are deleted as
they are found.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from puna.engine.memory import prefix_file
from puna.engine.memory.disk_room import FOLDER_NAME, PARTIAL, SUFFIX, make_room
from puna.engine.memory.prefix_file import Contents, Header, Unusable
from puna.engine.memory.sequence_memory import Segment, SequenceMemory
from puna.engine.vital import start_thread

_log = logging.getLogger(__name__)

_MOST_FILES = 4096
"""Of one model that an engine takes notice of, the latest used."""

_MOST_WAITING = 256 << 20
"""Bytes that may wait for the writer, beside what the host keeps anyway."""


@dataclass(eq=False)
class File:
    """A segment's copy on disk, or on its way there."""

    path: Path
    parent: File | None
    logits: bool
    """It has the logits at the prompt's end."""
    snapshots: tuple[int, ...]
    """Their lengths, in tokens."""
    contents: Contents | None = None
    """Until it is written."""
    gone: bool = False
    """It could not be written or read, or is not wanted any more."""

    @property
    def chain(self) -> Iterator[File]:
        """It and all that it builds on, to the first."""
        file: File | None = self
        while file is not None:
            yield file
            file = file.parent


@dataclass(frozen=True, eq=False)
class Found:
    """A sequence in files."""

    held: SequenceMemory
    tokens: bytes
    prompt_tokens: int
    owner: str


@dataclass(frozen=True, eq=False)
class _WriteRequest:
    """What the writer is to write."""

    file: File
    header: Header
    replaces: Sequence[File]


@dataclass(frozen=True, eq=False)
class _ReadRequest:
    """What the reader is to read, and who is told."""

    files: Sequence[File]
    then: Callable[[dict[File, Contents] | None], None]


class Disk:
    """The files of one kind of numbers. All methods are for one thread, to which `post` hands what was read.

    None raises: what the disk refuses is as if it had never been there.
    """

    def __init__(
        self, folder: Path, model: str, limit: int, *, post: Callable[[Callable[[], None]], None]
    ) -> None:
        """`folder` is what all engines share, `limit` the bytes that all files below it may take.

        `model`: what these numbers depend on, in words.
        """
        self._folder = folder
        self._limit = limit
        self._model = _digest(model.encode())
        self._own = folder / self._model[:FOLDER_NAME]
        self._post = post
        self._writes: SimpleQueue[_WriteRequest | None] = SimpleQueue()
        self._ordered: list[File] = []
        self._writer: Thread | None = None
        self._reads: SimpleQueue[_ReadRequest] = SimpleQueue()
        self._reader: Thread | None = None
        self._failed = False

    # Finding and reading

    def found(self) -> Iterator[Found]:
        """The sequences of this model, least recently used first. Those that lack a part are deleted."""
        paths = [(_used(path), path) for path in self._own.glob(f"*{SUFFIX}")]
        headers: dict[str, Header] = {}
        for _, path in sorted(paths)[-_MOST_FILES:]:
            try:
                with open(path, "rb") as opened:
                    headers[path.stem] = self._checked(path, prefix_file.read_header(opened))
            except (OSError, Unusable) as error:
                _give_up(path, error)
        segments: dict[str, Segment] = {}
        for name, header in headers.items():
            chain = _chain(name, headers)
            if chain is None:
                _unlink(self._own / f"{name}{SUFFIX}")
                continue
            held, tokens = SequenceMemory(), b""
            for each in chain:
                part = headers[each]
                segment = segments.get(each)
                if segment is None:
                    segment = segments[each] = self._segment(each, part, held.segments)
                held.segments.append(segment)
                tokens = tokens[: 4 * part.begin] + part.tokens
            held.length = held.copied = len(tokens) // 4
            held.leave_memory()
            yield Found(held, tokens, header.prompt_tokens, header.owner)

    def _segment(self, name: str, header: Header, before: list[Segment]) -> Segment:
        parent = before[-1].file if before else None
        file = File(self._own / f"{name}{SUFFIX}", parent, bool(header.logits), _lengths(header))
        return Segment(header.begin, header.tokens, file=file)

    def read(self, files: Sequence[File], then: Callable[[dict[File, Contents] | None], None]) -> None:
        """Read files that build on one another, and tell what they hold; None if one is damaged or not there
        any more. Those behind that one are then deleted: nobody can use them."""
        if self._reader is None:
            self._reader = start_thread(self._read)
        self._reads.put(_ReadRequest(files, then))

    def _read(self) -> None:
        while True:
            request = self._reads.get()
            found: dict[File, Contents] = {}
            for file in request.files:
                contents = self._contents(file)
                if contents is None:
                    break
                found[file] = contents
            whole = len(found) == len(request.files)
            for file in request.files[-1].chain if whole and request.files else ():
                _count_use(file)
            for file in request.files[len(found) :]:
                file.gone = True
                _unlink(file.path)
            self._post(partial(request.then, found if whole else None))

    def _contents(self, file: File) -> Contents | None:
        contents = file.contents
        if contents is not None or file.gone:
            return contents
        try:
            with open(file.path, "rb") as opened:
                header, contents = prefix_file.read(opened)
            self._checked(file.path, header)
        except (OSError, Unusable, MemoryError) as error:
            _give_up(file.path, error)
            return None
        return contents

    def _checked(self, path: Path, header: Header) -> Header:
        if header.model != self._model or path.stem != header.name:
            raise Unusable("it is another's")
        return header

    # Writing

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
        self,
        contents: Contents,
        *,
        owner: str,
        parent: File | None,
        begin: int,
        tokens: bytes,
        prompt_tokens: int,
        replaces: Sequence[File],
    ) -> File:
        """Write a segment as soon as may be, and then delete the files that it `replaces`."""
        header = Header(
            model=self._model,
            owner=owner,
            parent=parent.path.stem if parent else "",
            begin=begin,
            tokens=tokens,
            prompt_tokens=prompt_tokens,
            saved=contents.saved.nbytes,
            snapshots=tuple((snapshot.length, snapshot.data.nbytes) for snapshot in contents.snapshots),
            logits=0 if contents.logits is None else contents.logits.nbytes,
        )
        path = self._own / f"{header.name}{SUFFIX}"
        file = File(path, parent, contents.logits is not None, _lengths(header), contents)
        if self._writer is None:
            self._writer = start_thread(self._write)
        self._ordered.append(file)
        self._writes.put(_WriteRequest(file, header, replaces))
        return file

    def close(self) -> None:
        """Wait until all is written."""
        if self._writer is not None:
            self._writes.put(None)
            self._writer.join()
            self._writer = None

    def _write(self) -> None:
        while request := self._writes.get():
            file = request.file
            assert file.contents is not None
            try:
                file.gone = not self._written(request, file.contents)
            except (OSError, MemoryError) as error:
                file.gone = True
                if not self._failed:
                    _log.warning("the prefix cache in %s stops growing: %s", self._folder, _reason(error))
                self._failed = True
            file.contents = None
            if not file.gone:
                for older in request.replaces:
                    if older.path != file.path:
                        older.gone = True
                        _unlink(older.path)

    def _written(self, request: _WriteRequest, contents: Contents) -> bool:
        """Whether there was room for a file, and what it builds on is there. Raises OSError."""
        path, parent = request.file.path, request.file.parent
        for folder in (self._folder, self._own):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if parent is not None and (parent.gone or not parent.path.exists()):
            parent.gone = True
            return False
        size = contents.nbytes + len(request.header.tokens)
        if not make_room(self._folder, size, self._limit, spare=parent and parent.path):
            return False
        used = max((prefix_file.worth(older.path).uses for older in request.replaces), default=0)
        aside = path.with_suffix(f".{os.getpid()}{PARTIAL}")
        try:
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                prefix_file.write(file, request.header, contents, uses=used + 1)
            os.replace(aside, path)
        finally:
            _unlink(aside)
        for before in parent.chain if parent else ():
            _count_use(before)
        return True


def _lengths(header: Header) -> tuple[int, ...]:
    return tuple(length for length, _ in header.snapshots)


def _chain(name: str, headers: dict[str, Header]) -> list[str] | None:
    """The segments up to this one, from the first on; None if one is missing."""
    chain = [name]
    while parent := headers[chain[-1]].parent:
        if parent not in headers or parent in chain:
            return None
        chain.append(parent)
    return chain[::-1]


@functools.cache
def owner_digest(owner: str) -> str:
    """What files call an owner: a key's id is nobody else's business."""
    return _digest(owner.encode()) if owner else ""


def _count_use(file: File) -> None:
    with suppress(OSError):
        prefix_file.count_use(file.path)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _give_up(path: Path, reason: OSError | Unusable | MemoryError) -> None:
    """Delete a file that is no good. One that another engine has deleted is no news."""
    if isinstance(reason, Unusable):
        _log.warning("%s was deleted from the prefix cache: %s", path, reason)
        _unlink(path)
    elif not isinstance(reason, FileNotFoundError):
        _log.warning("%s in the prefix cache cannot be read: %s", path, _reason(reason))


def _reason(error: OSError | MemoryError) -> str | None:
    return error.strerror if isinstance(error, OSError) else "out of memory"


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()
