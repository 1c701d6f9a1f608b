"""Plain attention: each token has cells of its own, so a sequence can be cut anywhere."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama import Context
from puna.engine.memory.held import NO_SLOT, Held

Place = Callable[[int], int]
"""The position of a token: its number among the tokens, but for pictures in two dimensions."""


class Full:
    """The contract, and the kind for which all of it is simple. Lengths are in tokens."""

    exact = False
    """A sequence can only be cut where a snapshot was taken: where that will be must be foreseen."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def reach(self, held: Held, wanted: int) -> int:
        """The most tokens, at most `wanted`, that another sequence can begin with; 0 if there are none."""
        return min(wanted, held.length)

    def branch(self, source: Held, slot: int, length: int, place: Place) -> bool:
        """Make `slot`, which is empty or the source's own, hold the first `length` tokens of `source`.

        `length` is within reach. False if there was no room: the slot is then empty.
        """
        if self._bring(source, slot, place(length)) and self._trim(source, slot, length, place):
            return True
        self.forget(slot)
        return False

    def _bring(self, source: Held, slot: int, positions: int) -> bool:
        if source.slot == NO_SLOT:
            assert source.saved is not None
            return self._context.restore(slot, source.saved)
        if source.slot != slot:
            self._context.share(source.slot, slot, 0, positions)
        return True

    def _trim(self, source: Held, slot: int, length: int, place: Place) -> bool:
        """Cut what came from `source` to `length`; False if what that takes found no room."""
        return self._context.cut(slot, place(length))

    def cut(self, held: Held, wanted: int, place: Place) -> None:
        """Cut a sequence in the pool back to `wanted` tokens, or to fewer where that is out of reach.

        libllama may meanwhile have evaluated some tokens beyond `held.length`.
        """
        length = self._back(held, wanted)
        if not (length and self._trim(held, held.slot, length, place)):
            self.forget(held.slot)
            length = 0
        held.length = length
        held.snapshots = held.snapshots_to(length)

    def _back(self, held: Held, wanted: int) -> int:
        """`reach`, for a sequence whose end may not be what it was."""
        return self.reach(held, wanted)

    def points(self, stops: Collection[int], before: int, after: int) -> list[int]:
        """Lengths at which snapshots are due now that `before` tokens became `after`."""
        return []

    def snapshot(self, held: Held, length: int, place: Place) -> NDArray[np.uint8]:
        """What `cut` and `branch` will need to come back to `length`, one of `points`."""
        return self._context.snapshot(held.slot)

    def saved_size(self, held: Held) -> int:
        """Bytes that `save` takes."""
        return self._context.saved_size(held.slot)

    def save(self, held: Held, size: int) -> None:
        """Copy a sequence out of the pool; `size` is `saved_size`."""
        held.saved = self._context.save(held.slot, size)

    def forget(self, slot: int) -> None:
        """Empty a slot."""
        self._context.forget(slot)
