"""The prefix cache: a new prompt starts from the tokens that it shares with other sequences."""

from __future__ import annotations

from array import array
from collections import OrderedDict

from puna.engine.memory import NO_SLOT, ContextMemory, Disk, SequenceMemory, Snapshot, owner_digest
from puna.engine.offload import Offload
from puna.engine.prefix_index import WORTH_SHARING, Prefix, PrefixIndex, Retained
from puna.engine.sequence import Sequence

_MOST_SNAPSHOTS = 16
"""Most snapshots of one sequence that can only be cut at snapshots."""

_NEAREST_STOP = 64
"""Tokens between a prompt's end and the nearest snapshot before it."""

_REMEMBERED_LOGITS = 8
"""Retained sequences that keep their prompt's last logits: a repeat of the prompt then needs no evaluation
and draws from the same numbers, so that a seed gives the same text again."""


class PrefixCache:
    """Owns the context's memory: every change to what a slot holds goes through here."""

    def __init__(self, *, slots: int, memory: ContextMemory, limit: int, disk: Disk | None = None) -> None:
        """`limit`: bytes that saved sequences and snapshots may take together. `disk`: outlives them."""
        self._memory = memory
        self.index = PrefixIndex(memory)
        self.running = self.index.running
        self.offload = Offload(self.index, memory, slots=slots, limit=limit, disk=disk)
        if disk is not None:
            self._take_over(disk)

    def _take_over(self, disk: Disk) -> None:
        """Index the files that earlier engines left."""
        found = [(self.index.next_key(), one) for one in disk.found()]
        for key, one in sorted(found, key=lambda pair: pair[1].held.length):
            kept = Retained(key, one.prompt_tokens, None, one.held, one.owner)
            tokens = array("i", one.tokens)
            self._drop_covered(kept, tokens)
            self.index.retain(kept, tokens)
        self.index.retained = OrderedDict(sorted(self.index.retained.items()))

    def await_prefix(self, prefix: Prefix) -> None:
        """Make sure that the promised part of a prefix will be usable."""
        if self._memory.exact and prefix.promiser is not None:
            prefix.promiser.stops.add(prefix.promised)

    def begin(self, sequence: Sequence, prefix: Prefix) -> None:
        """Give `sequence` a slot that holds the first `prefix.length` tokens of `prefix.holder`.

        The holder is at hand. sequence.evaluated is then what the slot really holds: a saved sequence may
        not fit.
        """
        holder, length = prefix.holder, prefix.length
        if isinstance(holder, Retained) and length >= WORTH_SHARING:
            self.index.retained.move_to_end(holder.key)
        self.offload.clear_pool(holder)
        held = sequence.held = SequenceMemory()
        consumed = None
        if isinstance(holder, Retained) and holder.held.slot != NO_SLOT and self._consumes(holder, length):
            consumed = holder
            held.slot = holder.held.slot
        else:
            held.slot = self.offload.take_slot(holder)
        own = holder is None or holder.held.slot in (NO_SLOT, held.slot)
        place = sequence.layout.position
        if holder is not None and length and self._memory.branch(holder.held, held.slot, length, place):
            held.length = length
            held.snapshots = holder.held.snapshots_to(length)
            held.copied, held.segments = holder.held.copied, holder.held.segments
            held.copy_to(length)
        if consumed is not None:
            consumed.held.slot = NO_SLOT
            if not consumed.held.on_disk:
                held.replaces = consumed.held.replaces
                self.index.forget(consumed)
        elif isinstance(holder, Retained) and holder.held.on_disk and self.offload.full:
            holder.held.leave_memory()
        sequence.shared = 0 if own else held.length
        if self._memory.exact:
            self._plan_stops(sequence, prefix.known)
        self.index.run(sequence)

    def _consumes(self, holder: Retained, length: int) -> bool:
        """Whether cutting `holder` to `length` loses nothing but an earlier answer."""
        return length >= min(holder.held.length, holder.prompt_tokens - 1)

    def _plan_stops(self, sequence: Sequence, known: int) -> None:
        """Set the lengths at which later prompts are likely to differ from this one.

        They are the prompt's end, for its repeat; where it differs from an earlier prompt; and doubling
        distances before its end, so that a later prompt evaluates at most twice what it must.
        """
        begun, end = sequence.evaluated, len(sequence.tokens)
        sequence.stops = {end}
        distance = _NEAREST_STOP
        while begun < end - distance:
            sequence.stops.add(sequence.layout.whole(end - distance))
            distance *= 2
        if known - begun >= WORTH_SHARING:
            sequence.stops.add(known)
        if begun and all(s.length != begun for s in sequence.held.snapshots):
            self._take_snapshot(sequence, begun)

    def longest_draft(self, sequences: int) -> int:
        """Most tokens of a draft that can be rolled back after a step of `sequences` sequences."""
        return self._memory.rollback(sequences)

    def extend(self, sequence: Sequence, count: int, *, excess: int = 0) -> None:
        """`count` more tokens of a running sequence were evaluated; the `excess` after them are dropped."""
        held = sequence.held
        before, held.length = held.length, held.length + count
        self._memory.drop(held, excess, sequence.layout.position)
        for length in self._memory.points(sequence.stops, before, held.length):
            self._take_snapshot(sequence, length)

    def _take_snapshot(self, sequence: Sequence, length: int) -> None:
        try:
            data = self._memory.snapshot(sequence.held, length, sequence.layout.position)
        except MemoryError:
            return
        if self.offload.make_space(data.nbytes):
            snapshots = sequence.held.snapshots
            snapshots.append(Snapshot(length, data))
            if self._memory.exact and len(snapshots) > _MOST_SNAPSHOTS:
                del snapshots[_cheapest(snapshots)]

    def rewrite(self, sequence: Sequence, keep: int) -> None:
        """Drop a running sequence's tokens after the first `keep`, because they have changed."""
        self._memory.cut(sequence.held, keep, sequence.layout.position)
        sequence.stops.clear()
        self.index.update(sequence)

    def end(self, sequence: Sequence) -> None:
        """Retain what a sequence has evaluated after it ends."""
        if not sequence.evaluated:
            self.discard(sequence)
            return
        self.index.forget(sequence)
        held, sequence.held = sequence.held, SequenceMemory()
        held.place = sequence.layout.position
        held.try_again()
        tokens = sequence.tokens[: held.length]
        intact = len(tokens) >= sequence.prompt_tokens and not sequence.shifted
        logits = sequence.prompt_logits if intact else None
        owner = owner_digest(sequence.job.owner)
        kept = Retained(sequence.key, sequence.prompt_tokens, logits, held, owner)
        self._drop_covered(kept, tokens)
        self.index.retain(kept, tokens)
        with_logits = [kept for kept in self.index.retained.values() if kept.prompt_logits is not None]
        for older in with_logits[:-_REMEMBERED_LOGITS]:
            older.prompt_logits = None

    def _drop_covered(self, kept: Retained, tokens: list[int] | array[int]) -> None:
        """Drop retained sequences that `kept` covers: a chat's earlier turns."""
        for other in self.index.covered(kept, tokens):
            length = other.held.length
            if self._memory.reach(kept.held, length) > length - WORTH_SHARING:
                kept.held.replaces += other.held.replaces
                kept.held.replaces += [s.file for s in other.held.segments if s.file is not None]
                if other.held.outside and length == kept.held.length and not kept.held.outside:
                    kept.held.take_copies(other.held)
                if other.held.slot != NO_SLOT:
                    self.offload.release(other.held)
                self.index.forget(other)

    def discard(self, sequence: Sequence) -> None:
        """Drop a running sequence and all that it has evaluated."""
        self.index.forget(sequence)
        self.offload.release(sequence.held)
        sequence.held = SequenceMemory()


def _cheapest(snapshots: list[Snapshot]) -> int:
    """The one whose loss costs least, because the gap is small compared to its distance from the end."""
    end = snapshots[-1].length

    def loss(place: int) -> float:
        before = snapshots[place - 1].length if place else 0
        return (snapshots[place + 1].length - before) / (end - before)

    return min(range(len(snapshots) - 1), key=loss)
