"""Which sequences' tokens are in memory, and what of them a new prompt can share.

A sequence is running (in a slot of the pool), or retained after its end: still in its slot, saved outside
the pool, in files, or in several of these. Cells that nobody decodes slow the others down, because attention
looks at every cell's mask, so retained sequences leave the pool as soon as another request needs it; a saved
one comes back by a memory copy, hundreds of times faster than evaluating it again. Those that have no room in
memory go on in their files, which the next engine of the model finds.
"""

from __future__ import annotations

import itertools
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from operator import itemgetter

from puna.engine.memory import NO_SLOT, Contents, Disk, File, Held, Memory, Snapshot, owner_digest
from puna.engine.prefix_tree import PrefixTree
from puna.engine.retained import Prefix, Retained, bytes_outside, cheapest, handier
from puna.engine.sequence import Sequence

WORTH_SHARING = 32
"""Tokens that make a prefix worth waiting for, and worth the room or the copy of a longer sequence."""

_MOST_SAVED = 256

_MOST_SNAPSHOTS = 16
"""Of one sequence whose memory is exact."""

_NEAREST_STOP = 64
"""Tokens before a prompt's end at which the first of its stops is."""

_REMEMBERED_LOGITS = 8
"""Retained sequences that keep their prompt's last logits: a repeat of the prompt then needs no evaluation
and draws from the same numbers, so that a seed gives the same text again."""

_READING = 32
"""Reading a file of so many tokens takes at most as long as evaluating one."""


class PrefixCache:
    """Owns the context's memory: every change to what a slot holds goes through here."""

    def __init__(self, *, slots: int, memory: Memory, limit: int, disk: Disk | None = None) -> None:
        """`limit`: bytes that saved sequences and snapshots may take together, `disk`: what outlives them."""
        self._memory = memory
        self._disk = disk
        self._free = list(range(slots - 1, -1, -1))
        self._tree = PrefixTree()
        self._limit = limit
        self._keys = itertools.count()
        self.running: dict[int, Sequence] = {}
        self._retained: OrderedDict[int, Retained] = OrderedDict()
        """Least recently used first."""
        self.reading = 0
        """Sequences on their way from their files."""
        self.arrived = False
        """One is there that was not when a step began."""
        if disk is not None:
            self._take_over(disk)

    def _take_over(self, disk: Disk) -> None:
        """Retain what earlier engines have left in files."""
        found = [
            (Retained(next(self._keys), one.prompt_tokens, None, one.held, one.owner), array("i", one.tokens))
            for one in disk.found()
        ]
        for kept, tokens in sorted(found, key=lambda pair: pair[0].held.length):
            self._drop_covered(kept, tokens)
            self._tree.insert(kept.key, tokens, kept.owner)
            self._retained[kept.key] = kept
        self._retained = OrderedDict(sorted(self._retained.items()))

    # Finding

    def find(self, sequence: Sequence) -> Prefix:
        """The best prefix for a prompt; the last token, or the picture that ends it, is left to evaluate."""
        tokens = sequence.tokens
        longest = sequence.layout.whole(len(tokens) - 1)
        holder, length, most, known, promised, promiser = None, 0, 0, 0, 0, None
        for depth, keys in self._tree.matches(tokens, owner_digest(sequence.job.owner)):
            known = min(depth, longest)
            for key in keys:
                one = self.running.get(key) or self._retained[key]
                usable = self._usable(one, known)
                saves = usable if one.held.at_hand else usable - one.held.length // _READING
                if saves > most or (saves == most and usable and handier(one, holder)):
                    holder, length, most = one, usable, saves
                if isinstance(one, Sequence) and one.pending > 1 and known > max(promised, one.evaluated):
                    promised, promiser = known, one
        return Prefix(holder, length, known, max(promised, length), promiser)

    def _usable(self, holder: Sequence | Retained, known: int) -> int:
        """How many of the `known` tokens that it has in common with a prompt a holder can give."""
        usable = self._memory.reach(holder.held, known)
        if isinstance(holder, Retained) and usable < WORTH_SHARING and 2 * usable < holder.held.length:
            return 0
        return usable

    def await_prefix(self, prefix: Prefix) -> None:
        """See to it that the promised part of a prefix will be usable."""
        if self._memory.exact and prefix.promiser is not None:
            prefix.promiser.stops.add(prefix.promised)

    def repeat_of(self, sequence: Sequence) -> Retained | None:
        """A finished sequence with exactly this prompt and its logits still known."""
        length = len(sequence.tokens)
        matches = self._tree.matches(sequence.tokens, owner_digest(sequence.job.owner))
        depth, keys = max(matches, key=itemgetter(0), default=(0, set[int]()))
        if depth < length:
            return None
        for kept in (self._retained[key] for key in sorted(keys, reverse=True) if key in self._retained):
            if kept.prompt_tokens == length == self._memory.reach(kept.held, length) and (
                kept.prompt_logits is not None or self._logits_on_disk(kept)
            ):
                return kept
        return None

    def _logits_on_disk(self, kept: Retained) -> bool:
        """Whether files that have to be read in any case have the logits."""
        held = kept.held
        return not held.at_hand and held.on_disk and any(s.file and s.file.logits for s in held.segments[-1:])

    def fetch(self, holder: Sequence | Retained | None) -> bool:
        """Whether what a sequence holds is at hand; if not, its files are being read from now on."""
        if not isinstance(holder, Retained) or holder.held.at_hand:
            return True
        if not holder.reading and self._disk is not None:
            holder.reading = True
            self.reading += 1
            self._disk.read(holder.held.missing, partial(self._arrive, holder))
        return False

    def _arrive(self, kept: Retained, found: dict[File, Contents] | None) -> None:
        """Files were read, or were no good."""
        kept.reading = False
        self.reading -= 1
        self.arrived = True
        held = kept.held
        if kept.key not in self._retained or held.at_hand:
            return
        if found is not None:
            self._make_space(sum(contents.nbytes for contents in found.values()), kept)
            held.enter_memory(found)
            last = held.segments[-1].file
            if last in found:
                kept.prompt_logits = found[last].logits
        if not held.at_hand:
            if held.slot != NO_SLOT:
                self._release(held)
            self._forget(kept)

    # A sequence's way

    def begin(self, sequence: Sequence, prefix: Prefix) -> None:
        """Give `sequence` a slot that holds the first `prefix.length` tokens of `prefix.holder`.

        That one is at hand. Afterwards sequence.evaluated says how many it really holds: a saved sequence may
        not fit.
        """
        holder, length = prefix.holder, prefix.length
        if isinstance(holder, Retained) and length >= WORTH_SHARING:
            self._retained.move_to_end(holder.key)
        self._retire(holder)
        held = sequence.held = Held()
        consumed = None
        if isinstance(holder, Retained) and holder.held.slot != NO_SLOT and self._consumes(holder, length):
            consumed = holder
            held.slot = holder.held.slot
        else:
            if not self._free:
                self._leave_pool(next(kept for kept in self._in_pool() if kept is not holder), holder)
            held.slot = self._free.pop()
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
                self._forget(consumed)
        elif isinstance(holder, Retained) and holder.held.on_disk and self._taken() > self._limit:
            holder.held.leave_memory()
        sequence.shared = 0 if own else held.length
        if self._memory.exact:
            self._foresee(sequence, prefix.known)
        sequence.key = next(self._keys)
        self.running[sequence.key] = sequence
        self._tree.insert(sequence.key, sequence.tokens, owner_digest(sequence.job.owner))

    def _consumes(self, holder: Retained, length: int) -> bool:
        """Whether nothing of worth stays behind when `holder` is cut to `length`: only an earlier answer."""
        return length >= min(holder.held.length, holder.prompt_tokens - 1)

    def _foresee(self, sequence: Sequence, known: int) -> None:
        """Set the lengths at which later prompts are likely to part from this one.

        Those are the prompt's end, for its repeat; where it parts from an earlier one; and distances from its
        end that double, so that what a later one evaluates again is at most twice what it must.
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

    @property
    def cuttable(self) -> bool:
        """Whether the last tokens of a sequence can be forgotten anywhere, at little cost."""
        return not self._memory.exact

    def extend(self, sequence: Sequence, count: int, *, excess: int = 0) -> None:
        """`count` more tokens of a running sequence are evaluated; `excess` behind them are forgotten."""
        held = sequence.held
        before, held.length = held.length, held.length + count
        if excess:
            self._memory.cut(held, held.length, sequence.layout.position)
        for length in self._memory.points(sequence.stops, before, held.length):
            self._take_snapshot(sequence, length)

    def _take_snapshot(self, sequence: Sequence, length: int) -> None:
        try:
            data = self._memory.snapshot(sequence.held, length, sequence.layout.position)
        except MemoryError:
            return
        if self._make_space(data.nbytes):
            snapshots = sequence.held.snapshots
            snapshots.append(Snapshot(length, data))
            if self._memory.exact and len(snapshots) > _MOST_SNAPSHOTS:
                del snapshots[cheapest(snapshots)]

    def rewrite(self, sequence: Sequence, keep: int) -> None:
        """A running sequence's tokens have changed after the first `keep`: those are forgotten."""
        self._memory.cut(sequence.held, keep, sequence.layout.position)
        sequence.stops.clear()
        self._tree.insert(sequence.key, sequence.tokens, owner_digest(sequence.job.owner))

    def end(self, sequence: Sequence) -> None:
        """Retain what a running sequence has evaluated."""
        if not sequence.evaluated:
            self.discard(sequence)
            return
        del self.running[sequence.key]
        held, sequence.held = sequence.held, Held()
        held.place = sequence.layout.position
        held.try_again()
        tokens = sequence.tokens[: held.length]
        intact = len(tokens) >= sequence.prompt_tokens and not sequence.shifted
        logits = sequence.prompt_logits if intact else None
        owner = owner_digest(sequence.job.owner)
        kept = Retained(sequence.key, sequence.prompt_tokens, logits, held, owner)
        self._tree.remove(kept.key)
        self._drop_covered(kept, tokens)
        self._tree.insert(kept.key, tokens, owner)
        self._retained[kept.key] = kept
        with_logits = [kept for kept in self._retained.values() if kept.prompt_logits is not None]
        for older in with_logits[:-_REMEMBERED_LOGITS]:
            older.prompt_logits = None

    def _drop_covered(self, kept: Retained, tokens: list[int] | array[int]) -> None:
        """Forget retained sequences that give nothing that `kept` does not: a chat's earlier turns."""
        covered = [
            self._retained[key]
            for depth, keys in self._tree.matches(tokens, kept.owner)
            for key in keys
            if key in self._retained and self._retained[key].held.length <= depth
        ]
        for other in covered:
            length = other.held.length
            if self._memory.reach(kept.held, length) > length - WORTH_SHARING:
                kept.held.replaces += other.held.replaces
                kept.held.replaces += [s.file for s in other.held.segments if s.file is not None]
                if other.held.outside and length == kept.held.length and not kept.held.outside:
                    kept.held.take_copies(other.held)
                if other.held.slot != NO_SLOT:
                    self._release(other.held)
                self._forget(other)

    def discard(self, sequence: Sequence) -> None:
        """Forget a running sequence with all it has evaluated."""
        del self.running[sequence.key]
        self._tree.remove(sequence.key)
        self._release(sequence.held)
        sequence.held = Held()

    # Room

    def save_one(self) -> bool:
        """Save one retained sequence that is only in the pool, while nobody waits; False if there is none."""
        return any(not kept.held.outside and self._save(kept) for kept in self._in_pool())

    def store_one(self) -> bool:
        """Begin to write one saved sequence to its file; False if there is none left."""
        return any(self._store(kept) for kept in self._retained.values())

    def close(self) -> None:
        """Write all that is retained. Nothing may follow."""
        if self._disk is not None:
            while self.save_one() or self.store_one():
                pass
            self._disk.close()

    def make_room(self) -> bool:
        """Send the least recently used retained sequence out of the pool; False if there is none."""
        kept = next(self._in_pool(), None)
        if kept is None:
            return False
        self._leave_pool(kept)
        return True

    def _retire(self, spare: Sequence | Retained | None) -> None:
        """Send retained sequences but `spare` out of the pool, as far as they can be kept outside."""
        for kept in list(self._in_pool()):
            if kept is not spare and (kept.held.outside or self._save(kept, spare)):
                self._release(kept.held)

    def _leave_pool(self, kept: Retained, spare: Sequence | Retained | None = None) -> None:
        if not (kept.held.outside or self._save(kept, spare)):
            self._forget(kept)
        self._release(kept.held)

    def _save(self, kept: Retained, spare: Sequence | Retained | None = None) -> bool:
        """Copy a retained sequence out of the pool, dropping the oldest ones outside but `spare` for it.

        One that is too large for the room there goes to disk at once.
        """
        size = self._memory.saved_size(kept.held)
        space = self._make_space(size, kept, spare)
        if not (space or self._spills(kept, size)):
            return False
        try:
            self._memory.save(kept.held, size, self._tree.tokens(kept.key))
        except MemoryError:
            return False
        if not space:
            self._leave_memory(kept)
        return True

    def _store(self, kept: Retained) -> bool:
        """Begin to write those segments of a saved sequence that have no file; False if there are none, or
        are to be none."""
        held = kept.held
        if not self._storable(held) or not held.saved:
            return False
        assert self._disk is not None
        parent, replaces = None, self._unused(held.replaces)
        for segment in held.segments:
            if segment.file is None:
                last = segment is held.segments[-1]
                snapshots = [s for s in held.snapshots if segment.begin < s.length <= segment.end]
                segment.file = self._disk.store(
                    Contents(segment.data, snapshots, kept.prompt_logits if last else None),
                    owner=kept.owner,
                    parent=parent,
                    begin=segment.begin,
                    tokens=segment.tokens,
                    prompt_tokens=kept.prompt_tokens,
                    replaces=replaces if last else (),
                )
            parent = segment.file
        held.replaces = []
        return True

    def _storable(self, held: Held) -> bool:
        """Whether files are to be written of a sequence, once it is saved."""
        gone = any(segment.file and segment.file.gone for segment in held.segments)
        return self._disk is not None and held.length >= WORTH_SHARING and not (held.on_disk or gone)

    def _unused(self, files: list[File]) -> list[File]:
        """Those on which nothing that is known builds."""
        helds = [one.held for one in (*self._retained.values(), *self.running.values())]
        used = {id(file) for held in helds for s in held.segments if s.file for file in s.file.chain}
        return [file for file in files if id(file) not in used]

    def _spills(self, kept: Retained, size: int) -> bool:
        """Whether a sequence of `size` bytes can go on in its file alone."""
        return self._disk is not None and self._storable(kept.held) and self._disk.takes(size)

    def _leave_memory(self, kept: Retained) -> None:
        """Give up the copy in memory; what is then nowhere is forgotten."""
        held = kept.held
        if held.saved and self._spills(kept, bytes_outside([held])):
            self._store(kept)
        held.leave_memory()
        if held.slot == NO_SLOT and not held.on_disk:
            self._forget(kept)

    def _make_space(self, size: int, *spare: Sequence | Retained | None) -> bool:
        """Whether `size` more bytes may lie outside the pool; the oldest that do but `spare` go for it."""
        if self._taken() + size > self._limit:
            for sequence in self.running.values():
                sequence.held.drop_copies()
        outside = [kept for kept in self._retained.values() if kept.held.in_memory]
        going = [kept for kept in outside if kept not in spare]
        left = set(going)
        staying = [kept.held for kept in self._retained.values() if kept not in left]
        staying += [sequence.held for sequence in self.running.values()]
        if bytes_outside(staying) + size > self._limit:
            return False
        dropped = 0
        while len(outside) - dropped >= _MOST_SAVED or (
            bytes_outside(staying + [kept.held for kept in going[dropped:]]) + size > self._limit
        ):
            dropped += 1
        for kept in going[:dropped]:
            self._leave_memory(kept)
        return True

    def _taken(self) -> int:
        """Bytes outside the pool."""
        return bytes_outside([one.held for one in (*self._retained.values(), *self.running.values())])

    def _in_pool(self) -> Iterator[Retained]:
        return (kept for kept in self._retained.values() if kept.held.slot != NO_SLOT)

    def _forget(self, kept: Retained) -> None:
        del self._retained[kept.key]
        self._tree.remove(kept.key)

    def _release(self, held: Held) -> None:
        self._memory.forget(held.slot)
        self._free.append(held.slot)
        held.slot = NO_SLOT
