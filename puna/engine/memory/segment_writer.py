"""Writes segments to files in a thread: to a partial file, then renamed, so a file is whole or absent."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from puna.engine.cache_folder import atomic_write
from puna.engine.memory import prefix_file
from puna.engine.memory.disk_room import make_room
from puna.engine.memory.prefix_file import Contents, Header
from puna.engine.memory.segment_file import File, reason, unlink
from puna.engine.vital import start_thread

_log = logging.getLogger(__name__)

_MAX_QUEUED = 256 << 20
"""Bytes that may wait for the writer, beyond the limit of host memory."""


@dataclass(frozen=True, eq=False)
class _WriteRequest:
    """A segment to be written."""

    file: File
    header: Header
    replaces: Sequence[File]


class SegmentWriter:
    """Its thread starts with the first segment. Call the methods from one other thread; none raises."""

    def __init__(self, folder: Path, limit: int) -> None:
        """`limit`: bytes that all files below `folder` may take."""
        self._folder = folder
        self._limit = limit
        self._writes: SimpleQueue[_WriteRequest | None] = SimpleQueue()
        self._queued: list[File] = []
        self._thread: Thread | None = None
        self._failed = False

    def accepts(self, size: int) -> bool:
        """Whether `size` more bytes may wait for it."""
        waiting = [file.contents for file in self._queued]
        queued = sum(contents.nbytes for contents in waiting if contents is not None)
        return not queued or queued + size <= _MAX_QUEUED

    def write(self, file: File, header: Header, replaces: Sequence[File]) -> None:
        """Queue a file for writing; afterwards delete the files that it `replaces`."""
        if self._thread is None:
            self._thread = start_thread(self._run)
        self._queued = [*(each for each in self._queued if each.contents is not None), file]
        self._writes.put(_WriteRequest(file, header, replaces))

    def close(self) -> None:
        """Wait until all is written."""
        if self._thread is not None:
            self._writes.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while request := self._writes.get():
            file = request.file
            assert file.contents is not None
            try:
                file.gone = not self._write(request, file.contents)
            except (OSError, MemoryError) as error:
                file.gone = True
                if not self._failed:
                    _log.warning("the prefix cache in %s stops growing: %s", self._folder, reason(error))
                self._failed = True
            file.contents = None
            if not file.gone:
                for older in request.replaces:
                    if older.path != file.path:
                        older.gone = True
                        unlink(older.path)

    def _write(self, request: _WriteRequest, contents: Contents) -> bool:
        """Write a file, if there is room and its parent exists; whether it did. Raises OSError."""
        path, parent = request.file.path, request.file.parent
        for folder in (self._folder, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if parent is not None and (parent.gone or not parent.path.exists()):
            parent.gone = True
            return False
        size = contents.nbytes + len(request.header.tokens)
        if not make_room(self._folder, size, self._limit, spare=parent and parent.path):
            return False
        uses = max((prefix_file.worth(older.path).uses for older in request.replaces), default=0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with atomic_write(path) as aside, open(os.open(aside, flags, 0o600), "wb") as file:
            prefix_file.write(file, request.header, contents, uses=uses + 1)
        for ancestor in parent.chain if parent else ():
            ancestor.count_use()
        return True
