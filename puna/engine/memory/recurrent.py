"""Recurrent and hybrid models: a sequence has one state, that of its last token.

Snapshots are taken where later prompts are likely to continue: at a prompt's end, at doubling distances
before it, where earlier prompts differed, and at regular intervals.

For some architectures libllama also keeps the states of a batch's last tokens, so that rejected drafts can
be rolled back. After a rollback a sequence uses one of these states until its next evaluation. Another
sequence that shares its cells would get the wrong state.
"""

from __future__ import annotations

from collections.abc import Collection

from puna.engine.libllama import Context
from puna.engine.memory.full_attention import FullAttention
from puna.engine.memory.sequence_memory import NO_SLOT, PositionOf, SequenceMemory
from puna.errors import PunaError

SNAPSHOT_INTERVAL = 256
"""Tokens after which a snapshot is taken at the next end of a step."""


class Recurrent(FullAttention):
    """Cuts by restoring a snapshot. A hybrid model's attention layers are cut as in FullAttention."""

    cut_needs_snapshot = True

    def __init__(self, context: Context, *, copies_suffixes: bool, max_rollback: int) -> None:
        super().__init__(context)
        self.copies_suffixes = copies_suffixes
        self._max_rollback = max_rollback
        self._rolled_back: set[int] = set()
        """Slots that may have been rolled back since their last evaluation."""

    def max_rollback(self, sequences: int) -> int:
        # Where libllama divides a batch of several sequences, it loses the earlier states.
        return self._max_rollback if sequences == 1 else 0

    def roll_back(self, memory: SequenceMemory, excess: int, position_of: PositionOf) -> None:
        self._rolled_back.discard(memory.slot)
        if excess and self._context.cut(memory.slot, position_of(memory.length)):
            self._rolled_back.add(memory.slot)
        else:
            super().roll_back(memory, excess, position_of)

    def usable(self, memory: SequenceMemory, max_length: int) -> int:
        return memory.length if memory.length <= max_length else self._cut_length(memory, max_length)

    def _cut_length(self, memory: SequenceMemory, max_length: int) -> int:
        return max((s.length for s in memory.snapshots_to(max_length)), default=0)

    def _fill(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        shareable = source.slot in (NO_SLOT, slot) or self._settle_state(source.slot)
        return shareable and super()._fill(source, slot, length, position_of)

    def _trim(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        snapshot = next((s for s in source.snapshots if s.length == length), None)
        # The state first: libllama cuts nothing from a sequence whose state is ahead.
        if snapshot is not None and not self._context.restore_snapshot(slot, snapshot.data):
            return False
        return self._context.cut(slot, position_of(length))

    def snapshot_lengths(self, stops: Collection[int], before: int, after: int) -> list[int]:
        due = after in stops or after // SNAPSHOT_INTERVAL > before // SNAPSHOT_INTERVAL
        return [after] if due else []

    def host_copy_size(self, memory: SequenceMemory) -> int:
        self._settle_state(memory.slot)
        return super().host_copy_size(memory)

    def _copy_start(self, memory: SequenceMemory) -> int:
        # Only a whole sequence is copied from its own slot, without sharing its state.
        return 0 if memory.slot in self._rolled_back else super()._copy_start(memory)

    def _settle_state(self, slot: int) -> bool:
        """Make a rolled-back state the slot's regular one, so that it can be shared; False without memory."""
        if slot in self._rolled_back:
            try:
                state = self._context.snapshot(slot)
            except MemoryError:
                return False
            if not self._context.restore_snapshot(slot, state):
                raise PunaError("libllama could not restore a state that it has just saved")
            self._rolled_back.discard(slot)
        return True

    def clear(self, slot: int) -> None:
        super().clear(slot)
        self._rolled_back.discard(slot)
