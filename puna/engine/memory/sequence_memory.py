"""Where the tokens of one sequence are held."""

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

_ON_DISK = np.empty(0, np.uint8)

PositionOf = Callable[[int], int]
"""The position of a token: its index, except in pictures with two-dimensional positions."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """State to restore to cut a sequence to its first `length` tokens."""

    length: int
    data: NDArray[np.uint8] = field(default_factory=lambda: _ON_DISK)
    """Empty while it is only in the sequence's file."""


@dataclass(eq=False)
class Segment:
    """A copy of the KV of a sequence's tokens from `begin` to `end`, outside the pool.

    Sequences with a common prefix share it. One that differs inside it uses the part before.
    """

    begin: int
    tokens: bytes
    """int32, one for each token; a picture has one for each row."""
    data: NDArray[np.uint8] = field(default_factory=lambda: _ON_DISK)
    """Empty while it is only in its file."""
    file: File | None = None

    @property
    def end(self) -> int:
        return self.begin + len(self.tokens) // 4

    @property
    def on_disk(self) -> bool:
        return self.file is not None and not self.file.gone


@dataclass(eq=False)
class SequenceMemory:
    """The tokens of one sequence: in a slot of the pool, in copies in memory, in files, or in several."""

    slot: int = NO_SLOT
    length: int = 0
    """Tokens held, from the first on."""
    segments: list[Segment] = field(default_factory=list)
    """Each is used up to where the next one begins, the last one up to `copied`."""
    copied: int = 0
    """Tokens that the segments hold, from the first on."""
    snapshots: list[Snapshot] = field(default_factory=list)
    """Ascending by length. Sequences with a common prefix share them."""
    place: PositionOf = int
    """Where its tokens are."""
    replaces: list[File] = field(default_factory=list)
    """Files of the sequence that it continues, to be deleted once it has its own."""

    def snapshots_to(self, length: int) -> list[Snapshot]:
        """The snapshots within the first `length` tokens."""
        return [snapshot for snapshot in self.snapshots if snapshot.length <= length]

    def segments_to(self, length: int) -> list[Segment]:
        """The segments that the first `length` tokens need."""
        return [segment for segment in self.segments if segment.begin < length]

    def copy_to(self, length: int) -> None:
        """Drop the copies of tokens after the first `length`."""
        self.copied = min(self.copied, length)
        self.segments = self.segments_to(self.copied)

    @property
    def _copied(self) -> bool:
        """Whether the segments hold the whole sequence."""
        return bool(self.segments) and self.copied == self.length == self.segments[-1].end

    @property
    def saved(self) -> bool:
        """Whether all of it is copied in memory."""
        return self._copied and all(segment.data.size for segment in self.segments)

    @property
    def in_memory(self) -> bool:
        """Whether some of it is copied in memory."""
        return any(segment.data.size for segment in self.segments)

    @property
    def on_disk(self) -> bool:
        return self._copied and all(segment.on_disk for segment in self.segments)

    @property
    def outside(self) -> bool:
        """Whether it can leave the pool and come back."""
        return self._copied and all(segment.data.size or segment.on_disk for segment in self.segments)

    @property
    def at_hand(self) -> bool:
        """Whether it can be used without reading its files."""
        return (self.slot != NO_SLOT or self.saved) and all(s.data.size for s in self.snapshots)

    def drop_copies(self) -> None:
        """Drop the copies in memory; files keep theirs."""
        kept: list[Segment] = []
        for segment in self.segments:
            if not segment.on_disk:
                self.copied = min(self.copied, segment.begin)
                break
            kept.append(replace(segment, data=_ON_DISK))
        self.segments = kept

    def take_copies(self, other: SequenceMemory) -> None:
        """Use the copies of another that holds the same tokens."""
        self.segments, self.copied, self.snapshots = other.segments, other.copied, other.snapshots

    def try_again(self) -> None:
        """Files that could not be written may be written now."""
        for segment in self.segments:
            if segment.data.size and not segment.on_disk:
                segment.file = None

    @property
    def missing(self) -> list[File]:
        """The files that must be read for it to be at hand."""
        all_of_them = not all(snapshot.data.size for snapshot in self.snapshots)
        return [s.file for s in self.segments if s.file is not None and (all_of_them or not s.data.size)]

    def enter_memory(self, found: dict[File, Contents]) -> None:
        """Take over what was read from the segments' files."""
        read = {s.length: s for contents in found.values() for s in contents.snapshots}
        self.segments = [
            replace(s, data=found[s.file].saved) if s.file in found and not s.data.size else s
            for s in self.segments
        ]
        self.snapshots = [s if s.data.size else read.get(s.length, s) for s in self.snapshots]

    def leave_memory(self) -> None:
        """Drop the copies in memory and the snapshots; files keep theirs."""
        self.drop_copies()
        ends = [*(segment.begin for segment in self.segments[1:]), self.copied]
        self.snapshots = [
            Snapshot(length)
            for segment, end in zip(self.segments, ends, strict=False)
            for length in (segment.file.snapshots if segment.file else ())
            if length <= end
        ]
