"""Sliding-window attention: some layers see all tokens, others only the last ones.

Tokens that leave the window are forgotten, so a sequence cannot be cut without help. A snapshot holds one
window's cells. Snapshots every window length give the window before any token.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama import Context
from puna.engine.memory.full import Full
from puna.engine.memory.sequence_memory import NO_SLOT, PositionOf, SequenceMemory, Snapshot


class Window(Full):
    """Cuts as in Full, and restores the window before the cut. `window`: its length in tokens.

    Positions are token numbers: no model has both windows and pictures in two dimensions.
    """

    def __init__(self, context: Context, window: int) -> None:
        super().__init__(context)
        self._window = window

    def reach(self, held: SequenceMemory, wanted: int) -> int:
        spans = [(max(0, s.length - self._window), s.length) for s in held.snapshots]
        last = held.length - self._window if held.slot == NO_SLOT else self._context.first_position(held.slot)
        spans.append((max(0, last), held.length))
        best, begin, end = 0, 0, 0
        for first, after in sorted(spans):
            if first > end:
                begin = first
            end = max(end, after)
            length = min(end, wanted)
            if begin == 0 or length - begin >= self._window - 1:
                best = max(best, length)
        return best

    def _restore(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        if not super()._restore(source, slot, length, place):
            return False
        if len(source.segments_to(length)) == 1:
            return True
        # Each segment brought the window before its own end; the one before `length` replaces them.
        window = next((s for s in source.snapshots if s.length >= length), None)
        return window is not None and self._context.restore_snapshot(slot, window.data)

    def _trim(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        # First the end: libllama takes cells that lie a window before a sequence's end for whatever comes.
        self._context.cut(slot, place(length))
        return self._complete(source.snapshots, slot, length)

    def _complete(self, snapshots: list[Snapshot], slot: int, length: int) -> bool:
        """Restore the missing cells of the window before `length` in `slot`, from its end to its start."""
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
            context.forget(self._spare)
            reached = context.first_position(slot)
            if reached >= first:
                return False
            first = reached
        return True

    def saved_size(self, held: SequenceMemory) -> int:
        size = super().saved_size(held)
        return size + self._context.snapshot_size(held.slot) if self._uncopied(held) else size

    def save(self, held: SequenceMemory, size: int, tokens: bytes) -> None:
        if not self._uncopied(held):
            super().save(held, size, tokens)
            return
        window = self._context.snapshot(held.slot)
        super().save(held, size - window.nbytes, tokens)
        # The windows at the ends of earlier copies are not needed beside the chain.
        chain = [s for s in held.snapshots if s.length % self._window == 0 and s.length < held.length]
        held.snapshots = [*chain, Snapshot(held.length, window)]

    def points(self, stops: Collection[int], before: int, after: int) -> list[int]:
        window = self._window
        return list(range((before // window + 1) * window, after + 1, window))

    def snapshot(self, held: SequenceMemory, length: int, place: PositionOf) -> NDArray[np.uint8]:
        if length == held.length:
            return self._context.snapshot(held.slot)
        # The window before an earlier token is complete until the next step.
        self._context.share(held.slot, self._spare, 0, place(length))
        try:
            return self._context.snapshot(self._spare)
        finally:
            self._context.forget(self._spare)
