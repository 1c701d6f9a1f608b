"""Downloads a blob: fetches parts concurrently and hashes them as they arrive."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from puna.errors import PunaError
from puna.library.durable import write, write_errors
from puna.library.registry.errors import Interrupted, is_transient
from puna.library.registry.journal import Journal
from puna.library.registry.limits import TransferLimits
from puna.library.registry.source import RemoteBlob
from puna.library.registry.transport import HTTPAnswer

_log = logging.getLogger(__name__)

_PIECE = 256 << 10
"""Bytes of a read (tuned over loopback)."""
_FLUSHED = 32 << 20
"""Bytes between two fsyncs, checked every _FLUSH_EVERY seconds."""
_FLUSH_EVERY = 0.2


class Cancelled(Exception):
    """`cancel` was called."""


class Download:
    """Downloads the bytes of `source` that `journal` lacks into the file `data`, which has the full size."""

    def __init__(self, source: RemoteBlob, data: Path, journal: Journal, limits: TransferLimits) -> None:
        self.digest = ""
        self._source = source
        self._data = data
        self._journal = journal
        self._limits = limits
        missing = (index for index in range(len(journal.done)) if len(range(*journal.remaining(index))))
        self._waiting = deque(missing)
        self._stop = threading.Event()
        self._open: set[HTTPAnswer] = set()
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._ranges: bool | None = None
        """Whether the server supports ranges; None until the first answer."""
        self._known = threading.Event()
        self._finished = threading.Event()

    def work(self) -> list[Callable[[], None]]:
        """The functions to run, one thread each. They set `digest` at the end.

        After a failure, the received bytes stay. Each function raises Cancelled, PunaError, or the last of
        too many consecutive failures.
        """
        streams = min(self._limits.streams, len(self._waiting))
        first = [self._fetch_parts] * min(1, streams)
        return [self._hash, self._flush, *first, *[self._join] * (streams - 1)]

    def cancel(self) -> None:
        """Stop all of `work` soon, with Cancelled. May be called from any thread."""
        with self._guard:
            self._stop.set()
            self._known.set()
            self._finished.set()
            for answer in self._open:
                answer.wake()
        with self._journal.advanced:
            self._journal.advanced.notify_all()

    def _join(self) -> None:
        """Fetch parts, too, once the first answer shows that the server supports ranges."""
        self._known.wait()
        if self._ranges:
            self._fetch_parts()

    def _fetch_parts(self) -> None:
        with write_errors(self._data.parent):
            file = open(self._data, "rb+", buffering=0)  # noqa: SIM115 - closed below, outside of `writing`
        with file:
            while True:
                with self._guard:
                    if not self._waiting:
                        return
                    index = self._waiting.popleft()
                self._fetch_part(file, index)

    def _fetch_part(self, file: FileIO, index: int) -> None:
        """Fetch the rest of a part, with retries. Raises Cancelled, and permanent errors."""
        failures = 0
        while len(range(*self._journal.remaining(index))):
            before = self._journal.completed
            if self._stop.is_set():
                raise Cancelled
            try:
                self._fetch_some(file, index)
            except Exception as error:
                failures = 1 if self._journal.completed > before else failures + 1
                if self._stop.is_set():
                    raise Cancelled from None
                if not is_transient(error):
                    raise
                if failures >= self._limits.attempts:
                    raise PunaError(f"max retries exceeded: {error}") from error
                _log.info("%s, part %d: %s; trying again", self._source.digest[7:19], index, error)
                if self._stop.wait(self._limits.wait(failures, error)):
                    raise Cancelled from None

    def _fetch_some(self, file: FileIO, index: int) -> None:
        first, end = self._journal.remaining(index)
        answer, at = self._source.open(first, end)
        with self._guard:
            self._open.add(answer)
        try:
            if self._ranges is None:
                self._ranges = answer.status == 206
                self._known.set()
            if answer.status == 206:
                self._store(file, answer, at, index, index + 1)
            elif self._ranges:
                raise Interrupted("the server did ranges before, and no longer does")
            else:
                self._store(file, answer, at, 0, len(self._journal.done))  # the only stream
        finally:
            with self._guard:
                self._open.discard(answer)
            answer.close()

    def _store(self, file: FileIO, answer: HTTPAnswer, at: int, begin: int, end: int) -> None:
        """Store an answer that begins at position `at`, as bytes of the parts `begin` to `end`.

        Skips bytes that are already stored. Raises Interrupted if it ends early, PunaError if it is too long.
        """
        for index in range(begin, end):
            stop = self._journal.extent(index)[1]
            while at < stop:
                piece = answer.read(min(_PIECE, stop - at))
                if self._stop.is_set():
                    raise Cancelled
                if not piece:
                    raise Interrupted(f"the connection ended after {at} of {self._journal.size} bytes")
                new = piece[max(0, self._journal.remaining(index)[0] - at) :]
                at += len(piece)
                if new:
                    # One write at a time, because the kernel serialises them with a spin lock.
                    with write_errors(self._data.parent), self._writing:
                        file.seek(at - len(new))
                        write(file.fileno(), new)
                        self._journal.advance(index, len(new))
        if answer.read(1):
            raise self._source.wrong_length("more")

    def _flush(self) -> None:
        """Call fsync during the download, so that the last fsync is short."""
        flushed = 0
        with write_errors(self._data.parent), open(self._data, "rb+", buffering=0) as file:
            while not self._finished.wait(_FLUSH_EVERY):
                if (now := self._journal.completed) - flushed >= _FLUSHED:
                    os.fsync(file.fileno())
                    flushed = now

    def _hash(self) -> None:
        """Hash the file's contiguous prefix as it grows."""
        hasher, hashed = hashlib.sha256(), 0
        room = memoryview(bytearray(1 << 20))
        journal = self._journal
        with write_errors(self._data.parent), open(self._data, "rb", buffering=0) as file:
            while hashed < journal.size:
                with journal.advanced:
                    while (ready := journal.prefix()) == hashed and not self._stop.is_set():
                        journal.advanced.wait()
                if self._stop.is_set():
                    raise Cancelled
                while hashed < ready:
                    count = file.readinto(room[: ready - hashed])
                    if not count:
                        raise PunaError(f"{self._data} was cut while it was written")
                    hasher.update(room[:count])
                    hashed += count
        self._finished.set()
        self.digest = f"sha256:{hasher.hexdigest()}"
