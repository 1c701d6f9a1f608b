"""What memory holds of one sequence, and where."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

NO_SLOT = -1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What must be put back to cut a sequence to its first `length` tokens."""

    length: int
    data: NDArray[np.uint8]


@dataclass(eq=False)
class Held:
    """The tokens of one sequence: in a slot of the pool, in a copy outside it, in both or nowhere."""

    slot: int = NO_SLOT
    length: int = 0
    """Tokens held, from the first on."""
    saved: NDArray[np.uint8] | None = None
    """The copy outside the pool."""
    snapshots: list[Snapshot] = field(default_factory=list)
    """Ascending by length. Sequences that begin alike share them."""

    def snapshots_to(self, length: int) -> list[Snapshot]:
        """Those that are true of the first `length` tokens alone."""
        return [snapshot for snapshot in self.snapshots if snapshot.length <= length]
