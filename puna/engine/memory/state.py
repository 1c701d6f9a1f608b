"""Recurrent and hybrid models: a sequence has one state, of its last token only.

Snapshots are taken where later prompts are likely to continue: at a prompt's end, at doubling distances
before it, where prompts were seen to differ, and at regular intervals.

For some architectures libllama also keeps the states of a batch's last tokens, so that drafts can be
forgotten. After a rollback, a sequence's state is one of these until its next evaluation; sequences that
share it would miss that.
"""

from __future__ import annotations

from collections.abc import Collection

from puna.engine.libllama import Context
from puna.engine.memory.full import Full
from puna.engine.memory.sequence_memory import NO_SLOT, PositionOf, SequenceMemory
from puna.errors import PunaError

STRIDE = 256
"""Tokens after which a snapshot is taken at the next end of a step."""


class State(Full):
    """Cuts back by restoring a snapshot. A hybrid model's attention is cut as in Full."""

    exact = True

    def __init__(self, context: Context, *, divisible: bool, rollback: int) -> None:
        super().__init__(context)
        self.divisible = divisible
        self._rollback = rollback
        self._rolled: set[int] = set()
        """Slots that may have been rolled back since their last evaluation."""

    def rollback(self, sequences: int) -> int:
        # Between the parts of a divided batch libllama moves sequences without their earlier states.
        return self._rollback if sequences == 1 else 0

    def drop(self, held: SequenceMemory, excess: int, place: PositionOf) -> None:
        self._rolled.discard(held.slot)
        if excess and self._context.cut(held.slot, place(held.length)):
            self._rolled.add(held.slot)
        else:
            super().drop(held, excess, place)

    def reach(self, held: SequenceMemory, wanted: int) -> int:
        return held.length if held.length <= wanted else self._back(held, wanted)

    def _back(self, held: SequenceMemory, wanted: int) -> int:
        return max((s.length for s in held.snapshots_to(wanted)), default=0)

    def _bring(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        settled = source.slot in (NO_SLOT, slot) or self._settle(source.slot)
        return settled and super()._bring(source, slot, length, place)

    def _trim(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        snapshot = next((s for s in source.snapshots if s.length == length), None)
        # First the state, then the rest: libllama cuts nothing where the state is ahead.
        if snapshot is not None and not self._context.restore_snapshot(slot, snapshot.data):
            return False
        return self._context.cut(slot, place(length))

    def points(self, stops: Collection[int], before: int, after: int) -> list[int]:
        return [after] if after in stops or after // STRIDE > before // STRIDE else []

    def saved_size(self, held: SequenceMemory) -> int:
        self._settle(held.slot)
        return super().saved_size(held)

    def _uncopied(self, held: SequenceMemory) -> int:
        # A part is copied from a slot that shares it.
        return 0 if held.slot in self._rolled else super()._uncopied(held)

    def _settle(self, slot: int) -> bool:
        """Put a state that was rolled back in its usual place; False if there is no memory to do it."""
        if slot in self._rolled:
            try:
                state = self._context.snapshot(slot)
            except MemoryError:
                return False
            if not self._context.restore_snapshot(slot, state):
                raise PunaError("libllama could not restore a state that it has just saved")
            self._rolled.discard(slot)
        return True

    def forget(self, slot: int) -> None:
        super().forget(slot)
        self._rolled.discard(slot)
