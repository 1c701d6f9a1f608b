"""Where the KV of one sequence is: in its slot of the pool, in host memory, in files, or in several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from puna.engine.memory.prefix_file import Contents
    from puna.engine.memory.segment_file import File

NO_SLOT = -1

_NO_DATA = np.empty(0, np.uint8)

PositionOf = Callable[[int], int]
"""The position of a token: its index, except after pictures with two-dimensional positions."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """State to restore to cut a sequence to its first `length` tokens."""

    length: int
    data: NDArray[np.uint8] = field(default_factory=lambda: _NO_DATA)
    """Empty while it is only in the sequence's file."""


@dataclass(eq=False)
class Segment:
    """A copy of the KV of a sequence's tokens from `begin` to `end`, outside the pool.

    Sequences with a common prefix share segments. A sequence that differs inside one uses its first part.
    """

    begin: int
    tokens: bytes
    """int32, one for each token; a picture has one for each row."""
    data: NDArray[np.uint8] = field(default_factory=lambda: _NO_DATA)
    """Empty while it is only in its file."""
    file: File | None = None

    @property
    def end(self) -> int:
        return self.begin + len(self.tokens) // 4

    @property
    def on_host(self) -> bool:
        return self.data.size > 0

    @property
    def on_disk(self) -> bool:
        return self.file is not None and not self.file.gone


@dataclass(eq=False)
class SequenceMemory:
    """A sequence's slot, segments and snapshots."""

    slot: int = NO_SLOT
    length: int = 0
    """Tokens evaluated."""
    segments: list[Segment] = field(default_factory=list)
    """Each is used up to where the next one begins, the last one up to `copied`."""
    copied: int = 0
    """Tokens in the segments, from the first on."""
    snapshots: list[Snapshot] = field(default_factory=list)
    """Ascending by length. Sequences with a common prefix share them."""
    position_of: PositionOf = int
    replaces: list[File] = field(default_factory=list)
    """Files of the sequence that it continues, to be deleted once it has its own."""

    def snapshots_to(self, length: int) -> list[Snapshot]:
        """The snapshots within the first `length` tokens."""
        return [snapshot for snapshot in self.snapshots if snapshot.length <= length]

    def segments_to(self, length: int) -> list[Segment]:
        """The segments that cover the first `length` tokens."""
        return [segment for segment in self.segments if segment.begin < length]

    def truncate(self, length: int) -> None:
        """Keep the first `length` tokens, with their segments and snapshots. The slot does not change."""
        self.length = length
        self.copied = min(self.copied, length)
        self.segments = self.segments_to(self.copied)
        self.snapshots = self.snapshots_to(length)

    @property
    def _fully_copied(self) -> bool:
        """Whether the segments hold the whole sequence."""
        return bool(self.segments) and self.copied == self.length == self.segments[-1].end

    @property
    def on_host(self) -> bool:
        """Whether all of it is copied to host memory."""
        return self._fully_copied and all(segment.on_host for segment in self.segments)

    @property
    def partly_on_host(self) -> bool:
        return any(segment.on_host for segment in self.segments)

    @property
    def on_disk(self) -> bool:
        return self._fully_copied and all(segment.on_disk for segment in self.segments)

    @property
    def restorable(self) -> bool:
        """Whether it can leave the pool and be restored later."""
        return self._fully_copied and all(segment.on_host or segment.on_disk for segment in self.segments)

    @property
    def resident(self) -> bool:
        """Whether it can be used without reading its files."""
        return (self.slot != NO_SLOT or self.on_host) and all(s.data.size for s in self.snapshots)

    @property
    def unread_files(self) -> list[File]:
        """The files to read before it is resident."""
        snapshots_missing = not all(snapshot.data.size for snapshot in self.snapshots)
        return [s.file for s in self.segments if s.file is not None and (snapshots_missing or not s.on_host)]

    def load(self, contents: dict[File, Contents]) -> None:
        """Add what was read from its files."""
        read = {s.length: s for each in contents.values() for s in each.snapshots}
        self.segments = [
            replace(s, data=contents[s.file].kv) if s.file in contents and not s.on_host else s
            for s in self.segments
        ]
        self.snapshots = [s if s.data.size else read.get(s.length, s) for s in self.snapshots]

    def drop_segments(self) -> None:
        """Drop the segments from host memory. Those with a file stay on disk."""
        stored: list[Segment] = []
        for segment in self.segments:
            if not segment.on_disk:
                self.copied = min(self.copied, segment.begin)
                break
            stored.append(replace(segment, data=_NO_DATA))
        self.segments = stored

    def evict_from_host(self) -> None:
        """Drop the segments and the snapshots from host memory. Those in files stay on disk."""
        self.drop_segments()
        ends = [*(segment.begin for segment in self.segments[1:]), self.copied]
        self.snapshots = [
            Snapshot(length)
            for segment, end in zip(self.segments, ends, strict=False)
            for length in (segment.file.snapshots if segment.file else ())
            if length <= end
        ]

    def share_copies(self, other: SequenceMemory) -> None:
        """Use the copies of another sequence of the same tokens."""
        self.segments, self.copied, self.snapshots = other.segments, other.copied, other.snapshots

    def retry_writes(self) -> None:
        """Let segments whose files could not be written be written again."""
        for segment in self.segments:
            if segment.on_host and not segment.on_disk:
                segment.file = None
