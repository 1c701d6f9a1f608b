"""Retained sequences in files, from which the model's next engine restores them.

All engines share one folder. Each combination of model, adapters, types and build has a subfolder. A file
holds one segment of a sequence and names its parent segment, so a longer conversation writes only what is
new. One thread writes, another reads. Checksums detect files that a crash of the machine damaged.
Unusable files are deleted.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from puna.engine.memory import prefix_file
from puna.engine.memory.disk_room import FOLDER_NAME, SUFFIX
from puna.engine.memory.prefix_file import Contents, Header, Unusable
from puna.engine.memory.segment_file import File, reason, unlink
from puna.engine.memory.segment_writer import SegmentWriter
from puna.engine.memory.sequence_memory import Segment, SequenceMemory
from puna.engine.vital import start_thread

_log = logging.getLogger(__name__)

_MOST_FILES = 4096
"""Most files of one model that an engine indexes; the most recently used come first."""


@dataclass(frozen=True, eq=False)
class StoredSequence:
    """A sequence in files."""

    memory: SequenceMemory
    tokens: bytes
    prompt_tokens: int
    owner: str


@dataclass(frozen=True, eq=False)
class _ReadRequest:
    """Files to read, and what to call with their contents."""

    files: Sequence[File]
    on_read: Callable[[dict[File, Contents] | None], None]


class Disk:
    """The files of one subfolder. Call all methods from one thread; `post` runs a callback in it.

    No method raises. A file that cannot be read or written counts as missing.
    """

    def __init__(
        self, folder: Path, model: str, limit: int, *, post: Callable[[Callable[[], None]], None]
    ) -> None:
        """`folder`: shared by all engines. `limit`: bytes that all files in it may take.

        `model`: text that names everything the KV depends on.
        """
        self._model = _digest(model.encode())
        self._own = folder / self._model[:FOLDER_NAME]
        self._post = post
        self.writer = SegmentWriter(folder, limit)
        self._reads: SimpleQueue[_ReadRequest] = SimpleQueue()
        self._reader: Thread | None = None

    def sequences(self) -> Iterator[StoredSequence]:
        """The sequences of this model, least recently used first. Incomplete ones are deleted."""
        paths = [(_last_used(path), path) for path in self._own.glob(f"*{SUFFIX}")]
        headers: dict[str, Header] = {}
        for _, path in sorted(paths)[-_MOST_FILES:]:
            try:
                with open(path, "rb") as opened:
                    headers[path.stem] = self._check(path, prefix_file.read_header(opened))
            except (OSError, Unusable) as error:
                _discard(path, error)
        segments: dict[str, Segment] = {}
        for name, header in headers.items():
            chain = _chain(name, headers)
            if chain is None:
                unlink(self._own / f"{name}{SUFFIX}")
                continue
            memory, tokens = SequenceMemory(), b""
            for each in chain:
                part = headers[each]
                segment = segments.get(each)
                if segment is None:
                    parent = memory.segments[-1].file if memory.segments else None
                    file = File(self._own / f"{each}{SUFFIX}", parent, bool(part.logits), _lengths(part))
                    segment = segments[each] = Segment(part.begin, part.tokens, file=file)
                memory.segments.append(segment)
                tokens = tokens[: 4 * part.begin] + part.tokens
            memory.length = memory.copied = len(tokens) // 4
            memory.evict_from_host()
            yield StoredSequence(memory, tokens, header.prompt_tokens, header.owner)

    def read(self, files: Sequence[File], on_read: Callable[[dict[File, Contents] | None], None]) -> None:
        """Read a chain of files, and post their contents; None if one is damaged or missing.

        Then that one and those after it are deleted, because nothing can use them."""
        if self._reader is None:
            self._reader = start_thread(self._read)
        self._reads.put(_ReadRequest(files, on_read))

    def _read(self) -> None:
        while True:
            request = self._reads.get()
            by_file: dict[File, Contents] = {}
            for file in request.files:
                contents = self._contents(file)
                if contents is None:
                    break
                by_file[file] = contents
            complete = len(by_file) == len(request.files)
            for file in request.files[-1].chain if complete and request.files else ():
                file.count_use()
            for file in request.files[len(by_file) :]:
                file.gone = True
                unlink(file.path)
            self._post(partial(request.on_read, by_file if complete else None))

    def _contents(self, file: File) -> Contents | None:
        contents = file.contents
        if contents is not None or file.gone:
            return contents
        try:
            with open(file.path, "rb") as opened:
                header, contents = prefix_file.read(opened)
            self._check(file.path, header)
        except (OSError, Unusable, MemoryError) as error:
            _discard(file.path, error)
            return None
        return contents

    def _check(self, path: Path, header: Header) -> Header:
        if header.model != self._model or path.stem != header.name:
            raise Unusable("it is another's")
        return header

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
        """Queue a segment for writing; afterwards delete the files that it `replaces`."""
        header = Header(
            model=self._model,
            owner=owner,
            parent=parent.path.stem if parent else "",
            begin=begin,
            tokens=tokens,
            prompt_tokens=prompt_tokens,
            saved=contents.kv.nbytes,
            snapshots=tuple((snapshot.length, snapshot.data.nbytes) for snapshot in contents.snapshots),
            logits=0 if contents.logits is None else contents.logits.nbytes,
        )
        path = self._own / f"{header.name}{SUFFIX}"
        file = File(path, parent, contents.logits is not None, _lengths(header), contents)
        self.writer.write(file, header, replaces)
        return file


def _lengths(header: Header) -> tuple[int, ...]:
    return tuple(length for length, _ in header.snapshots)


def _chain(name: str, headers: dict[str, Header]) -> list[str] | None:
    """The chain of segments that ends with this one, first to last; None if one is missing."""
    chain = [name]
    while parent := headers[chain[-1]].parent:
        if parent not in headers or parent in chain:
            return None
        chain.append(parent)
    return chain[::-1]


@functools.cache
def owner_digest(owner: str) -> str:
    """The owner in files: a digest, because a key's id must not be readable."""
    return _digest(owner.encode()) if owner else ""


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _discard(path: Path, error: OSError | Unusable | MemoryError) -> None:
    """Delete an unusable file. It is no error if another engine has deleted it."""
    if isinstance(error, Unusable):
        _log.warning("%s was deleted from the prefix cache: %s", path, error)
        unlink(path)
    elif not isinstance(error, FileNotFoundError):
        _log.warning("%s in the prefix cache cannot be read: %s", path, reason(error))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()
