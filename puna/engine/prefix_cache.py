"""The prefix cache: a new prompt starts with the KV of the tokens that it shares with another sequence."""

from __future__ import annotations

from array import array
from collections import OrderedDict

from puna.engine.memory import NO_SLOT, ContextMemory, Disk, SequenceMemory, Snapshot, owner_digest
from puna.engine.offload import Offload
from puna.engine.prefix_index import MIN_PREFIX, Prefix, PrefixIndex, Retained
from puna.engine.sequence import Sequence

_MAX_SNAPSHOTS = 16
"""Most snapshots of one sequence that can only be cut at snapshots."""

_NEAREST_STOP = 64
"""Tokens between a prompt's end and the nearest snapshot before it."""

_MAX_WITH_LOGITS = 8
"""Retained sequences that keep their prompt's last logits. A repeat of such a prompt needs no evaluation, and
draws from the same numbers, so that a seed gives the same text again."""


class PrefixCache:
    """Owns the context's memory: every change to a slot goes through here."""

    def __init__(
        self, *, slots: int, context_memory: ContextMemory, limit: int, disk: Disk | None = None
    ) -> None:
        """`limit`: bytes of host memory for segments and snapshots. `disk`: stores sequences in files."""
        self._context_memory = context_memory
        self.index = PrefixIndex(context_memory)
        self.running = self.index.running
        self.offload = Offload(self.index, context_memory, slots=slots, limit=limit, disk=disk)
        if disk is not None:
            self._index_stored(disk)

    def _index_stored(self, disk: Disk) -> None:
        """Index the sequences that earlier engines stored."""
        stored = [(self.index.next_key(), each) for each in disk.sequences()]
        for key, each in sorted(stored, key=lambda pair: pair[1].memory.length):
            retained = Retained(key, each.prompt_tokens, None, each.memory, each.owner)
            tokens = array("i", each.tokens)
            self._drop_prefixes(retained, tokens)
            self.index.add_retained(retained, tokens)
        self.index.retained = OrderedDict(sorted(self.index.retained.items()))

    def plan_snapshot(self, prefix: Prefix) -> None:
        """Let the producer take a snapshot, if a cut needs one, where the upcoming prefix ends."""
        if self._context_memory.cut_needs_snapshot and prefix.producer is not None:
            prefix.producer.stops.add(prefix.upcoming)

    def start(self, sequence: Sequence, prefix: Prefix) -> None:
        """Give `sequence` a slot that holds the first `prefix.length` tokens of `prefix.source`.

        The source must be resident. If the pool has no room to restore it, `sequence.evaluated` is then 0.
        """
        source, length = prefix.source, prefix.length
        if isinstance(source, Retained) and length >= MIN_PREFIX:
            self.index.retained.move_to_end(source.key)
        self.offload.clear_pool(source)
        cut = source if isinstance(source, Retained) and _cut_in_place(source, length) else None
        memory = SequenceMemory(cut.memory.slot if cut is not None else self.offload.take_slot(source))
        sequence.memory = memory
        position_of = sequence.layout.position
        if source is not None and self._context_memory.branch(
            source.memory, memory.slot, length, position_of
        ):
            memory.share_copies(source.memory)
            memory.truncate(length)
        sequence.shares_with = source if isinstance(source, Sequence) else None
        sequence.shared = memory.length if sequence.shares_with else 0
        if cut is not None:
            cut.memory.slot = NO_SLOT
            if not cut.memory.on_disk:
                memory.replaces = cut.memory.replaces
                self.index.remove(cut)
        elif isinstance(source, Retained) and source.memory.on_disk and self.offload.over_limit:
            source.memory.evict_from_host()
        if self._context_memory.cut_needs_snapshot:
            self._plan_stops(sequence, prefix.matched)
        self.index.add_running(sequence)

    def _plan_stops(self, sequence: Sequence, matched: int) -> None:
        """Set the lengths at which later prompts are likely to differ from this one.

        They are the prompt's end, for its repeat; where it differs from an earlier prompt; and doubling
        distances before its end, so that a later prompt evaluates at most twice what it must.
        """
        start, end = sequence.evaluated, len(sequence.tokens)
        sequence.stops = {end}
        distance = _NEAREST_STOP
        while start < end - distance:
            sequence.stops.add(sequence.layout.cut_before(end - distance))
            distance *= 2
        if matched - start >= MIN_PREFIX:
            sequence.stops.add(matched)
        if start and all(s.length != start for s in sequence.memory.snapshots):
            self._take_snapshot(sequence, start)

    def max_draft(self, sequences: int) -> int:
        """Most tokens of a draft that can be rolled back after a step of `sequences` sequences."""
        return self._context_memory.max_rollback(sequences)

    def advance(self, sequence: Sequence, count: int, *, rejected: int = 0) -> None:
        """A step evaluated `count` more tokens of a sequence, and a draft's `rejected` ones after them."""
        memory = sequence.memory
        before, memory.length = memory.length, memory.length + count
        self._context_memory.roll_back(memory, rejected, sequence.layout.position)
        for length in self._context_memory.snapshot_lengths(sequence.stops, before, memory.length):
            self._take_snapshot(sequence, length)

    def _take_snapshot(self, sequence: Sequence, length: int) -> None:
        try:
            data = self._context_memory.snapshot(sequence.memory, length, sequence.layout.position)
        except MemoryError:
            return
        if self.offload.reserve_host(data.nbytes):
            snapshots = sequence.memory.snapshots
            snapshots.append(Snapshot(length, data))
            if self._context_memory.cut_needs_snapshot and len(snapshots) > _MAX_SNAPSHOTS:
                del snapshots[_least_useful(snapshots)]

    def truncate(self, sequence: Sequence, length: int) -> None:
        """Drop a running sequence's KV after `length` tokens, because the tokens there have changed."""
        self._context_memory.cut(sequence.memory, length, sequence.layout.position)
        self._pass_on_cells(sequence)
        sequence.shared = min(sequence.shared, sequence.evaluated)
        sequence.stops.clear()
        self.index.update(sequence)

    def retain(self, sequence: Sequence) -> None:
        """End a running sequence, and retain what it has evaluated."""
        if not sequence.evaluated:
            self.discard(sequence)
            return
        self.index.remove(sequence)
        self._pass_on_cells(sequence)
        memory, sequence.memory = sequence.memory, SequenceMemory()
        memory.position_of = sequence.layout.position
        memory.retry_writes()
        tokens = sequence.tokens[: memory.length]
        intact = len(tokens) >= sequence.prompt_tokens and not sequence.shifted
        logits = sequence.prompt_logits if intact else None
        owner = owner_digest(sequence.job.owner)
        retained = Retained(sequence.key, sequence.prompt_tokens, logits, memory, owner)
        self._drop_prefixes(retained, tokens)
        self.index.add_retained(retained, tokens)
        with_logits = [each for each in self.index.retained.values() if each.prompt_logits is not None]
        for older in with_logits[:-_MAX_WITH_LOGITS]:
            older.prompt_logits = None

    def _drop_prefixes(self, retained: Retained, tokens: list[int] | array[int]) -> None:
        """Drop retained sequences that `retained` continues: a chat's earlier turns."""
        memory = retained.memory
        for other in self.index.prefixes_of(tokens, retained.owner):
            length = other.memory.length
            if self._context_memory.usable(memory, length) > length - MIN_PREFIX:
                memory.replaces += other.memory.replaces
                memory.replaces += [s.file for s in other.memory.segments if s.file is not None]
                if other.memory.restorable and length == memory.length and not memory.restorable:
                    memory.share_copies(other.memory)
                if other.memory.slot != NO_SLOT:
                    self.offload.release(other.memory)
                self.index.remove(other)

    def discard(self, sequence: Sequence) -> None:
        """Drop a running sequence and its KV."""
        self.index.remove(sequence)
        self._pass_on_cells(sequence)
        self.offload.release(sequence.memory)
        sequence.memory = SequenceMemory()

    def _pass_on_cells(self, sequence: Sequence) -> None:
        """A sequence gives up its cells. Of those that share them, the one with most of them has them now."""
        sharers = [other for other in self.running.values() if other.shares_with is sequence]
        if not sharers:
            return
        heir = max(sharers, key=lambda other: other.shared)
        for other in sharers:
            other.shares_with = heir
        heir.shares_with, heir.shared = sequence.shares_with, min(heir.shared, sequence.shared)


def _cut_in_place(source: Retained, length: int) -> bool:
    """Whether to cut `source` in its slot instead of copying it: it loses no more than its answer."""
    in_pool = source.memory.slot != NO_SLOT
    return in_pool and length >= min(source.memory.length, source.prompt_tokens - 1)


def _least_useful(snapshots: list[Snapshot]) -> int:
    """The snapshot that leaves the smallest gap, relative to the gap's distance from the end."""
    end = snapshots[-1].length

    def loss(index: int) -> float:
        before = snapshots[index - 1].length if index else 0
        return (snapshots[index + 1].length - before) / (end - before)

    return min(range(len(snapshots) - 1), key=loss)
