"""The journal of a download: a file beside the data, with the progress of each part.

Format: 16 bytes that identify it, the size of the blob, the size of a part, then for each part the number of
its bytes in the data file. Numbers are little-endian u64. A position is written after its bytes, so the
journal stays valid if the process is killed. The file is also the lock: its holder downloads, other processes
read the positions.
"""

from __future__ import annotations

import os
import struct
import threading
from io import FileIO
from pathlib import Path

from puna.library.durable import write
from puna.library.lock import try_lock

_FORMAT = b"puna-partial-1\n\0"
_HEAD = struct.Struct("<16sQQ")
_NUMBER = struct.Struct("<Q")
_STEP = 1 << 20
_MAX_PARTS = 1 << 20


class Journal:
    """The positions of one download, shared by its threads."""

    def __init__(self, file: FileIO, size: int, part: int, done: list[int]) -> None:
        self.size = size
        self.part = part
        self.done = done
        self.advanced = threading.Condition()
        """Notified after every MiB and every complete part. Its lock guards the positions."""
        self._file = file
        self._whole = 0

    @classmethod
    def begin(cls, file: FileIO, size: int, part: int, *, data: bool) -> Journal:
        """The journal in an open file: resumed if its size fits and `data` exists, otherwise a new one.

        `size` and `part` in bytes. A resumed journal keeps its part size. Raises OSError.
        """
        stored = _positions(_content(file)) if data else None
        if stored and stored[0] == size:
            return cls(file, *stored)
        journal = cls(file, size, part, [0] * -(-size // part))
        file.truncate(0)
        file.seek(0)
        write(file.fileno(), _HEAD.pack(_FORMAT, size, part) + bytes(8 * len(journal.done)))
        return journal

    def extent(self, index: int) -> tuple[int, int]:
        """The start and end of a part in the blob."""
        return index * self.part, min(self.size, (index + 1) * self.part)

    def remaining(self, index: int) -> tuple[int, int]:
        """The range of a part that is not yet fetched."""
        start, end = self.extent(index)
        return start + self.done[index], end

    def advance(self, index: int, count: int) -> None:
        """Record `count` more bytes of a part in the data file. Raises OSError."""
        with self.advanced:
            self.done[index] += count
            self._file.seek(_HEAD.size + index * _NUMBER.size)
            self._file.write(_NUMBER.pack(self.done[index]))
            if self.done[index] % _STEP < count or self.remaining(index)[0] == self.extent(index)[1]:
                self.advanced.notify_all()

    @property
    def completed(self) -> int:
        return sum(self.done)

    def prefix(self) -> int:
        """The length of the contiguous prefix in bytes. Only one thread may call it."""
        while self._whole < len(self.done) and self.remaining(self._whole)[0] == self.extent(self._whole)[1]:
            self._whole += 1
        return self.remaining(self._whole)[0] if self._whole < len(self.done) else self.size


def claim(path: Path) -> FileIO | None:
    """The locked journal file, created if missing; None while another holds the lock. Raises OSError."""
    file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644), "r+")
    try:
        # The lock's last holder may have finished and removed the file that was opened here.
        if try_lock(file.fileno()) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            return file
    except FileNotFoundError:
        pass
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def completed(path: Path) -> int:
    """The bytes that another process has downloaded; 0 until known."""
    try:
        with open(path, "rb", buffering=0) as file:
            stored = _positions(_content(file))
    except OSError:
        return 0
    return sum(stored[2]) if stored else 0


def _content(file: FileIO) -> bytes:
    file.seek(0)
    return file.read(_HEAD.size + _MAX_PARTS * _NUMBER.size) or b""


def _positions(content: bytes) -> tuple[int, int, list[int]] | None:
    """The size, part size and positions in a journal; None if it is invalid."""
    if len(content) < _HEAD.size:
        return None
    name, size, part = _HEAD.unpack_from(content)
    if name != _FORMAT or not part or len(content) != _HEAD.size + _NUMBER.size * -(-size // part):
        return None
    done = [number for (number,) in _NUMBER.iter_unpack(content[_HEAD.size :])]
    if any(number > min(part, size - index * part) for index, number in enumerate(done)):
        return None
    return size, part, done
