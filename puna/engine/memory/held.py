"""What memory holds of one sequence, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from puna.engine.memory.disk import File

NO_SLOT = -1

_ON_DISK = np.empty(0, np.uint8)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What must be put back to cut a sequence to its first `length` tokens."""

    length: int
    data: NDArray[np.uint8] = field(default_factory=lambda: _ON_DISK)
    """Empty while it is only in the sequence's file."""


@dataclass(eq=False)
class Held:
    """The tokens of one sequence: in a slot of the pool, in a copy in memory, in a file, or in several."""

    slot: int = NO_SLOT
    length: int = 0
    """Tokens held, from the first on."""
    saved: NDArray[np.uint8] | None = None
    """The copy in memory, outside the pool."""
    snapshots: list[Snapshot] = field(default_factory=list)
    """Ascending by length. Sequences that begin alike share them."""
    file: File | None = None
    """The copy on disk."""
    replaces: list[File] = field(default_factory=list)
    """Files of what it goes on from, to be deleted once it has one of its own."""

    def snapshots_to(self, length: int) -> list[Snapshot]:
        """Those that are true of the first `length` tokens alone."""
        return [snapshot for snapshot in self.snapshots if snapshot.length <= length]

    @property
    def on_disk(self) -> bool:
        return self.file is not None and not self.file.gone

    @property
    def outside(self) -> bool:
        """Whether it can leave the pool and come back."""
        return self.saved is not None or self.on_disk

    @property
    def at_hand(self) -> bool:
        """Whether it can be used without reading its file."""
        return (self.slot != NO_SLOT or self.saved is not None) and all(s.data.size for s in self.snapshots)

    def leave_memory(self) -> None:
        """Give up the copy in memory and the snapshots, but for what the file has of them."""
        self.saved = None
        self.snapshots = list(map(Snapshot, self.file.snapshots)) if self.file and not self.file.gone else []
