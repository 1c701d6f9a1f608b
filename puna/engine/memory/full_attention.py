"""Full attention: each token has its own KV cells, so a sequence can be cut anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama import Context
from puna.engine.memory.sequence_memory import NO_SLOT, PositionOf, Segment, SequenceMemory

_SHORTEST_SEGMENT = 256
"""Fewest tokens of a segment that is not a sequence's last."""


class FullAttention:
    """The interface of a context's memory, and its simplest kind. Lengths are in tokens."""

    cut_needs_snapshot = False
    """Whether a sequence can be cut only at its snapshots, so that they must be planned."""

    copies_suffixes = True
    """Whether a segment can be copied without the tokens before it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._spare = context.n_seq - 1
        """A slot for short-lived copies."""

    def max_rollback(self, sequences: int) -> int:
        """Most tokens that `roll_back` can drop from a sequence after a step of so many sequences."""
        return self._context.n_ctx

    def usable(self, memory: SequenceMemory, max_length: int) -> int:
        """The longest prefix, at most `max_length` tokens, that another sequence can begin with, or 0."""
        return min(max_length, memory.length)

    def branch(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        """Make `slot`, which is empty or the source's own, hold the first `length` tokens of `source`.

        `length` is `usable`. False if the pool has no room: the slot is then empty.
        """
        if self._fill(source, slot, length, position_of) and self._trim(source, slot, length, position_of):
            return True
        self.clear(slot)
        return False

    def _fill(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        """Give `slot` at least the first `length` tokens of `source`; False if the pool has no room."""
        if source.slot == NO_SLOT:
            return self._restore(source, slot, length, position_of)
        if source.slot != slot:
            self._context.share(source.slot, slot, 0, position_of(length))
        return True

    def _restore(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        """Restore segments into the pool, at least those of the first `length` tokens."""
        segments = source.segments_to(length)
        if len(segments) == 1:
            return self._context.restore(slot, segments[0].data)
        ends = [*(segment.begin for segment in segments[1:]), length]
        for segment, end in zip(segments, ends, strict=True):
            # libllama replaces a slot's whole content when it restores a copy.
            if not self._context.restore(self._spare, segment.data):
                return False
            self._context.share(self._spare, slot, position_of(segment.begin), position_of(end))
            self._context.free(self._spare)
        return True

    def _trim(self, source: SequenceMemory, slot: int, length: int, position_of: PositionOf) -> bool:
        """Cut a slot that `source` filled to `length`; False if the pool has no room."""
        return self._context.cut(slot, position_of(length))

    def cut(self, memory: SequenceMemory, max_length: int, position_of: PositionOf) -> None:
        """Cut a sequence in the pool to `max_length` tokens, or to the longest possible length below.

        Its slot may hold tokens beyond `memory.length`, evaluated since.
        """
        length = self._cut_length(memory, max_length)
        if not (length and self._trim(memory, memory.slot, length, position_of)):
            self.clear(memory.slot)
            length = 0
        memory.truncate(length)

    def roll_back(self, memory: SequenceMemory, excess: int, position_of: PositionOf) -> None:
        """After a step, drop the `excess` evaluated tokens beyond `memory.length`.

        They are fewer than the step evaluated, and no more than `max_rollback`.
        """
        if excess:
            self.cut(memory, memory.length, position_of)

    def _cut_length(self, memory: SequenceMemory, max_length: int) -> int:
        """`usable`, for a sequence whose slot may hold tokens beyond its length."""
        return self.usable(memory, max_length)

    def snapshot_lengths(self, stops: Collection[int], before: int, after: int) -> list[int]:
        """Lengths at which to take a snapshot when a sequence grows from `before` to `after` tokens."""
        return []

    def snapshot(self, memory: SequenceMemory, length: int, position_of: PositionOf) -> NDArray[np.uint8]:
        """What `cut` and `branch` will need to return to `length`, one of `snapshot_lengths`."""
        return self._context.snapshot(memory.slot)

    def host_copy_size(self, memory: SequenceMemory) -> int:
        """Bytes that `copy_to_host` takes."""
        with self._suffix(memory, self._copy_start(memory)) as slot:
            return self._context.saved_size(slot)

    def copy_to_host(self, memory: SequenceMemory, size: int, tokens: bytes) -> None:
        """Copy the tokens that no segment has yet from the pool to host memory.

        `size`: `host_copy_size`. `tokens`: all of the sequence, in int32. A MemoryError changes nothing.
        """
        begin = self._copy_start(memory)
        with self._suffix(memory, begin) as slot:
            data = self._context.save(slot, size)
        copied_again = [segment for segment in memory.segments if segment.begin >= begin]
        memory.replaces += [segment.file for segment in copied_again if segment.file is not None]
        memory.segments = [*memory.segments_to(begin), Segment(begin, tokens[4 * begin :], data)]
        memory.copied = memory.length

    def _copy_start(self, memory: SequenceMemory) -> int:
        """The first token to copy. Short segments are copied again, so that a long sequence has few."""
        if not self.copies_suffixes:
            return 0
        begin = memory.copied
        for segment in reversed(memory.segments):
            if begin < memory.length and begin - segment.begin >= _SHORTEST_SEGMENT:
                break
            begin = segment.begin
        return begin

    @contextmanager
    def _suffix(self, memory: SequenceMemory, begin: int) -> Iterator[int]:
        """A slot that holds the sequence's tokens from `begin` on."""
        if not begin:
            yield memory.slot
            return
        first, end = memory.position_of(begin), memory.position_of(memory.length)
        self._context.share(memory.slot, self._spare, first, end)
        try:
            yield self._spare
        finally:
            self._context.free(self._spare)

    def clear(self, slot: int) -> None:
        """Empty a slot."""
        self._context.free(slot)
