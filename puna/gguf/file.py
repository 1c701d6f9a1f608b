"""A GGUF file to copy from: metadata values keep their encoded bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from puna.gguf.metadata import Metadata, TensorInfo
from puna.gguf.reader import cached_metadata

_PIECE = 1 << 20


class GGUFFile:
    """The file at `path`, open in a `with`. Raises LoadFailed when its header is damaged, OSError."""

    def __init__(self, path: Path) -> None:
        self.metadata: Metadata = cached_metadata(path)
        self.tensors: dict[str, TensorInfo] = {tensor.name: tensor for tensor in self.metadata.tensors}
        self._file = path.open("rb")

    def __enter__(self) -> GGUFFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def values(self) -> dict[str, bytes]:
        """All metadata values, encoded."""
        pairs = ((key, self.value(key)) for key in self.metadata.entries)
        return {key: value for key, value in pairs if value is not None}

    def value(self, key: str) -> bytes | None:
        """A metadata value, encoded: its type, then the value. None when it is missing."""
        entry = self.metadata.entries.get(key)
        return None if entry is None else self._bytes(entry.start, entry.end - entry.start)

    def data(self, tensor: TensorInfo, piece: int = _PIECE) -> Iterator[bytes]:
        """The tensor's data, `piece` bytes at a time. Raises OSError when the file was truncated."""
        start = self.metadata.data_start + tensor.offset
        for at in range(0, tensor.size, piece):
            yield self._bytes(start + at, min(piece, tensor.size - at))

    def read_into(self, buffer: memoryview, tensor: TensorInfo, at: int) -> int:
        """Read the tensor's data from its byte `at` on; returns how many bytes. Raises OSError."""
        self._file.seek(self.metadata.data_start + tensor.offset + at)
        count = self._file.readinto(buffer[: tensor.size - at])
        if not count:
            raise OSError("the file became shorter")
        return count

    def _bytes(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) < count:
            raise OSError("the file became shorter")
        return data
