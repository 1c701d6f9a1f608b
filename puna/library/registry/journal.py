"""The journal of a download: a file beside the data, with the progress of each part.

The file has 16 bytes that name the format, the size of the blob, the size of a part, then for each part how
many of its bytes are in the data file; numbers are 8 bytes, little-endian. A position is written after its
bytes, so the journal is right whenever the process ends. The file is also the lock: its holder downloads, and
others follow by reading the positions.
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
_MOST_PARTS = 1 << 20


class Journal:
    """The positions of one download, shared by its threads."""

    def __init__(self, file: FileIO, size: int, part: int, done: list[int]) -> None:
        self.size = size
        self.part = part
        self.done = done
        self.moved = threading.Condition()
        """Notified of every megabyte and every complete part; its lock guards the positions."""
        self._file = file
        self._whole = 0

    @classmethod
    def begin(cls, file: FileIO, size: int, part: int, *, data: bool) -> Journal:
        """The journal in an open file, resumed if it is of the same blob and its `data` exists.

        `size` and `part` in bytes; an old journal keeps its own part size. Raises OSError.
        """
        found = _positions(_content(file)) if data else None
        if found and found[0] == size:
            return cls(file, *found)
        journal = cls(file, size, part, [0] * -(-size // part))
        file.truncate(0)
        file.seek(0)
        write(file.fileno(), _HEAD.pack(_FORMAT, size, part) + bytes(8 * len(journal.done)))
        return journal

    def extent(self, index: int) -> tuple[int, int]:
        """The start and end of a part in the blob."""
        return index * self.part, min(self.size, (index + 1) * self.part)

    def left(self, index: int) -> tuple[int, int]:
        """The range of a part that is still to fetch."""
        start, end = self.extent(index)
        return start + self.done[index], end

    def advance(self, index: int, count: int) -> None:
        """Record `count` more bytes of a part in the data file. Raises OSError."""
        with self.moved:
            self.done[index] += count
            self._file.seek(_HEAD.size + index * _NUMBER.size)
            self._file.write(_NUMBER.pack(self.done[index]))
            if self.done[index] % _STEP < count or self.left(index)[0] == self.extent(index)[1]:
                self.moved.notify_all()

    @property
    def completed(self) -> int:
        return sum(self.done)

    def prefix(self) -> int:
        """How many bytes from the beginning are there without a gap. For one thread."""
        while self._whole < len(self.done) and self.left(self._whole)[0] == self.extent(self._whole)[1]:
            self._whole += 1
        return self.left(self._whole)[0] if self._whole < len(self.done) else self.size


def claim(path: Path) -> FileIO | None:
    """The journal's file, locked, created if missing; None while another holds the lock. Raises OSError."""
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
    """How many bytes another process's download has; 0 until known."""
    try:
        with open(path, "rb", buffering=0) as file:
            found = _positions(_content(file))
    except OSError:
        return 0
    return sum(found[2]) if found else 0


def _content(file: FileIO) -> bytes:
    file.seek(0)
    return file.read(_HEAD.size + _MOST_PARTS * _NUMBER.size) or b""


def _positions(content: bytes) -> tuple[int, int, list[int]] | None:
    """The size, part size and positions in a journal; None when it is invalid or contradicts itself."""
    if len(content) < _HEAD.size:
        return None
    name, size, part = _HEAD.unpack_from(content)
    if name != _FORMAT or not part or len(content) != _HEAD.size + _NUMBER.size * -(-size // part):
        return None
    done = [number for (number,) in _NUMBER.iter_unpack(content[_HEAD.size :])]
    if any(number > min(part, size - index * part) for index, number in enumerate(done)):
        return None
    return size, part, done
