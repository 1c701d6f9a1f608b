"""Plain attention: each token has its own cells, so a sequence can be cut anywhere."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama import Context
from puna.engine.memory.sequence_memory import NO_SLOT, PositionOf, Segment, SequenceMemory

_LEAST = 256
"""Fewest tokens of a copy that is not a sequence's last."""


class Full:
    """The contract, and its simplest kind. Lengths are in tokens."""

    exact = False
    """Whether a sequence can be cut only where a snapshot was taken, so that cuts must be planned."""

    divisible = True
    """Whether a part of a sequence can be copied without the tokens before it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._spare = context.n_seq - 1

    def rollback(self, sequences: int) -> int:
        """Most tokens that `drop` can forget of a sequence, after a step of this many sequences."""
        return self._context.n_ctx

    def reach(self, held: SequenceMemory, wanted: int) -> int:
        """The most tokens, at most `wanted`, that another sequence can begin with; 0 if there are none."""
        return min(wanted, held.length)

    def branch(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        """Make `slot`, which is empty or the source's own, hold the first `length` tokens of `source`.

        `length` is within reach. False if there was no room: the slot is then empty.
        """
        if self._bring(source, slot, length, place) and self._trim(source, slot, length, place):
            return True
        self.forget(slot)
        return False

    def _bring(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        if source.slot == NO_SLOT:
            return self._restore(source, slot, length, place)
        if source.slot != slot:
            self._context.share(source.slot, slot, 0, place(length))
        return True

    def _restore(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        """Restore copies into the pool, at least those of the first `length` tokens."""
        segments = source.segments_to(length)
        if len(segments) == 1:
            return self._context.restore(slot, segments[0].data)
        ends = [*(segment.begin for segment in segments[1:]), length]
        for segment, end in zip(segments, ends, strict=True):
            # libllama replaces a slot's whole content by a copy.
            if not self._context.restore(self._spare, segment.data):
                return False
            self._context.share(self._spare, slot, place(segment.begin), place(end))
            self._context.forget(self._spare)
        return True

    def _trim(self, source: SequenceMemory, slot: int, length: int, place: PositionOf) -> bool:
        """Cut what came from `source` to `length`; False if there was no room."""
        return self._context.cut(slot, place(length))

    def cut(self, held: SequenceMemory, wanted: int, place: PositionOf) -> None:
        """Cut a sequence in the pool back to `wanted` tokens, or to fewer where that is out of reach.

        libllama may meanwhile have evaluated some tokens beyond `held.length`.
        """
        length = self._back(held, wanted)
        if not (length and self._trim(held, held.slot, length, place)):
            self.forget(held.slot)
            length = 0
        held.length = length
        held.snapshots = held.snapshots_to(length)
        held.copy_to(length)

    def drop(self, held: SequenceMemory, excess: int, place: PositionOf) -> None:
        """After a step, forget the `excess` evaluated tokens after the first `held.length`.

        They are fewer than it evaluated, and no more than `rollback` allows.
        """
        if excess:
            self.cut(held, held.length, place)

    def _back(self, held: SequenceMemory, wanted: int) -> int:
        """`reach`, for a sequence whose last tokens may have changed."""
        return self.reach(held, wanted)

    def points(self, stops: Collection[int], before: int, after: int) -> list[int]:
        """Lengths at which snapshots are due when a sequence grows from `before` to `after` tokens."""
        return []

    def snapshot(self, held: SequenceMemory, length: int, place: PositionOf) -> NDArray[np.uint8]:
        """The snapshot that `cut` and `branch` will need to return to `length`, one of `points`."""
        return self._context.snapshot(held.slot)

    def saved_size(self, held: SequenceMemory) -> int:
        """Bytes that `save` takes."""
        begin = self._uncopied(held)
        size = self._context.saved_size(self._part(held, begin))
        self._part_done(begin)
        return size

    def save(self, held: SequenceMemory, size: int, tokens: bytes) -> None:
        """Copy tokens that no segment has yet out of the pool.

        `size` is `saved_size`; `tokens` are all that the sequence holds, in int32. A MemoryError changes
        nothing.
        """
        begin = self._uncopied(held)
        try:
            data = self._context.save(self._part(held, begin), size)
        finally:
            self._part_done(begin)
        again = [segment for segment in held.segments if segment.begin >= begin]
        held.replaces += [segment.file for segment in again if segment.file is not None]
        held.segments = [*held.segments_to(begin), Segment(begin, tokens[4 * begin :], data)]
        held.copied = held.length

    def _uncopied(self, held: SequenceMemory) -> int:
        """The first token to copy. Short segments are copied again, so that a long sequence has few."""
        if not self.divisible:
            return 0
        begin = held.copied
        for segment in reversed(held.segments):
            if begin < held.length and begin - segment.begin >= _LEAST:
                break
            begin = segment.begin
        return begin

    def _part(self, held: SequenceMemory, begin: int) -> int:
        """A slot that holds the tokens of a sequence from `begin` on, until `_part_done`."""
        if not begin:
            return held.slot
        self._context.share(held.slot, self._spare, held.place(begin), held.place(held.length))
        return self._spare

    def _part_done(self, begin: int) -> None:
        if begin:
            self._context.forget(self._spare)

    def forget(self, slot: int) -> None:
        """Empty a slot."""
        self._context.forget(slot)
