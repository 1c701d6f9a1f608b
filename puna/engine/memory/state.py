"""Recurrent and hybrid models: a sequence has one state, of its last token only.

Snapshots are taken where later prompts are likely to continue: at a prompt's end, at doubling distances
before it, where prompts were seen to differ, and at regular intervals.
"""

from __future__ import annotations

from collections.abc import Collection

from puna.engine.libllama import Context
from puna.engine.memory.full import Full
from puna.engine.memory.sequence_memory import PositionOf, SequenceMemory

STRIDE = 256
"""Tokens after which a snapshot is taken at the next end of a step."""


class State(Full):
    """Cuts back by restoring a snapshot. A hybrid model's attention is cut as in Full."""

    exact = True

    def __init__(self, context: Context, *, divisible: bool) -> None:
        super().__init__(context)
        self.divisible = divisible

    def reach(self, held: SequenceMemory, wanted: int) -> int:
        return held.length if held.length <= wanted else self._back(held, wanted)

    def _back(self, held: SequenceMemory, wanted: int) -> int:
        return max((s.length for s in held.snapshots_to(wanted)), default=0)

    def _trim(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        snapshot = next((s for s in source.snapshots if s.length == length), None)
        # First the state, then the rest: libllama cuts nothing where the state is ahead.
        if snapshot is not None and not self._context.restore_snapshot(slot, snapshot.data):
            return False
        return self._context.cut(slot, place(length))

    def points(self, stops: Collection[int], before: int, after: int) -> list[int]:
        return [after] if after in stops or after // STRIDE > before // STRIDE else []
