"""Sliding-window attention (SWA): some layers attend to all tokens, others only to the last ones.

libllama drops tokens that have left the window, so a sequence can be cut only if the window before the cut
is restored. A snapshot holds one window's cells. Snapshots at every window's length cover every cut.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama import Context
from puna.engine.memory.full_attention import FullAttention
from puna.engine.memory.sequence_memory import NO_SLOT, PositionOf, SequenceMemory, Snapshot


class SlidingWindow(FullAttention):
    """Cuts as FullAttention does, and restores the window before the cut. `window`: its length in tokens.

    Positions are token indices: no model has both windows and pictures with two-dimensional positions.
    """

    def __init__(self, context: Context, window: int) -> None:
        super().__init__(context)
        self._window = window

    def usable(self, memory: SequenceMemory, max_length: int) -> int:
        spans = [(max(0, s.length - self._window), s.length) for s in memory.snapshots]
        in_pool = memory.slot != NO_SLOT
        last = self._context.first_position(memory.slot) if in_pool else memory.length - self._window
        spans.append((max(0, last), memory.length))
        best, begin, end = 0, 0, 0
        for first, after in sorted(spans):
            if first > end:
                begin = first
            end = max(end, after)
            length = min(end, max_length)
            if begin == 0 or length - begin >= self._window - 1:
                best = max(best, length)
        return best

    def _restore(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        if not super()._restore(source, slot, length, position_of):
            return False
        if len(source.segments_to(length)) == 1:
            return True
        # Each segment restored the window before its own end. Replace them by the window that `length` needs.
        window = next((s for s in source.snapshots if s.length >= length), None)
        return window is not None and self._context.restore_snapshot(slot, window.data)

    def _trim(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        # The end first: libllama reuses cells that lie more than a window before a sequence's end.
        self._context.cut(slot, position_of(length))
        return self._restore_window(source.snapshots, slot, length)

    def _restore_window(self, snapshots: list[Snapshot], slot: int, length: int) -> bool:
        """Restore the missing cells of the window before `length`, from its end to its start."""
        context, least = self._context, max(0, length - self._window + 1)
        first = context.first_position(slot)
        if first < 0:
            after = next((s for s in snapshots if s.length >= length), None)
            if after is None or not context.restore_snapshot(slot, after.data):
                return False
            context.cut(slot, length)
            first = context.first_position(slot)
        while first > least:
            before = next((s for s in snapshots if s.length >= first), None)
            if before is None or not context.restore_snapshot(self._spare, before.data):
                return False
            context.share(self._spare, slot, 0, first)
            context.free(self._spare)
            restored = context.first_position(slot)
            if restored >= first:
                return False
            first = restored
        return True

    def host_copy_size(self, memory: SequenceMemory) -> int:
        size = super().host_copy_size(memory)
        return size + self._context.snapshot_size(memory.slot) if self._copy_start(memory) else size

    def copy_to_host(self, memory: SequenceMemory, size: int, tokens: bytes) -> None:
        if not self._copy_start(memory):
            super().copy_to_host(memory, size, tokens)
            return
        window = self._context.snapshot(memory.slot)
        super().copy_to_host(memory, size - window.nbytes, tokens)
        # Snapshots at the ends of earlier copies are not needed beside those at every window's length.
        regular = [s for s in memory.snapshots if s.length % self._window == 0 and s.length < memory.length]
        memory.snapshots = [*regular, Snapshot(memory.length, window)]

    def snapshot_lengths(self, stops: Collection[int], before: int, after: int) -> list[int]:
        window = self._window
        return list(range((before // window + 1) * window, after + 1, window))

    def snapshot(self, memory: SequenceMemory, length: int, position_of: PositionOf) -> NDArray[np.uint8]:
        if length == memory.length:
            return self._context.snapshot(memory.slot)
        # The window before an earlier token is complete until the next step.
        self._context.share(memory.slot, self._spare, 0, position_of(length))
        try:
            return self._context.snapshot(self._spare)
        finally:
            self._context.free(self._spare)
