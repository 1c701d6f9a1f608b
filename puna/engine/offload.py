"""Where retained sequences are: in a slot of the pool, copied into memory outside it, or in files.

Attention looks at every cell's mask, so idle cells slow down the others. Retained sequences therefore leave
the pool as soon as another request needs it. A saved one returns by a memory copy, hundreds of times faster
than evaluating it again. Those without room in memory stay in files, which the model's next engine finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from puna.engine.memory import NO_SLOT, Contents, ContextMemory, Disk, File, SequenceMemory
from puna.engine.prefix_index import WORTH_SHARING, PrefixIndex, Retained
from puna.engine.sequence import Sequence

_MOST_SAVED = 256


class Offload:
    """Moves retained sequences between the pool, memory and files, the least recently used first."""

    def __init__(
        self, index: PrefixIndex, memory: ContextMemory, *, slots: int, limit: int, disk: Disk | None
    ) -> None:
        """`limit`: bytes that copies and snapshots may take together outside the pool."""
        self._index = index
        self._memory = memory
        self._disk = disk
        self._limit = limit
        self._free = list(range(slots - 1, -1, -1))
        self.reading = 0
        """Sequences whose files are being read."""
        self.arrived = False
        """Whether one was read since the step began."""

    # Slots of the pool

    def take_slot(self, spare: Sequence | Retained | None) -> int:
        """A free slot; if there is none, that of a retained sequence other than `spare`."""
        if not self._free:
            self._leave_pool(next(kept for kept in self._in_pool() if kept is not spare), spare)
        return self._free.pop()

    def release(self, held: SequenceMemory) -> None:
        """Free a slot and all its cells."""
        self._memory.forget(held.slot)
        self._free.append(held.slot)
        held.slot = NO_SLOT

    def make_room(self) -> bool:
        """Move the least recently used retained sequence out of the pool; False if there is none."""
        kept = next(self._in_pool(), None)
        if kept is None:
            return False
        self._leave_pool(kept)
        return True

    def clear_pool(self, spare: Sequence | Retained | None) -> None:
        """Move retained sequences except `spare` out of the pool, as far as they can be kept outside."""
        for kept in list(self._in_pool()):
            if kept is not spare and (kept.held.outside or self._save(kept, spare)):
                self.release(kept.held)

    def _leave_pool(self, kept: Retained, spare: Sequence | Retained | None = None) -> None:
        if not (kept.held.outside or self._save(kept, spare)):
            self._index.forget(kept)
        self.release(kept.held)

    def _in_pool(self) -> Iterator[Retained]:
        return (kept for kept in self._index.retained.values() if kept.held.slot != NO_SLOT)

    # Copies in memory

    def save_one(self) -> bool:
        """Save one retained sequence that is only in the pool; False if there is none. For idle times."""
        return any(not kept.held.outside and self._save(kept) for kept in self._in_pool())

    def _save(self, kept: Retained, spare: Sequence | Retained | None = None) -> bool:
        """Copy a retained sequence out of the pool, dropping the oldest ones outside but `spare` for it.

        One that is too large for memory goes to disk at once.
        """
        size = self._memory.saved_size(kept.held)
        space = self.make_space(size, kept, spare)
        if not (space or self._spills(kept, size)):
            return False
        try:
            self._memory.save(kept.held, size, self._index.tokens(kept))
        except MemoryError:
            return False
        if not space:
            self._leave_memory(kept)
        return True

    def make_space(self, size: int, *spare: Sequence | Retained | None) -> bool:
        """Whether `size` more bytes fit outside the pool, after dropping the oldest there except `spare`."""
        if _bytes_outside(self._index.memories) + size > self._limit:
            for sequence in self._index.running.values():
                sequence.held.drop_copies()
        outside = [kept for kept in self._index.retained.values() if kept.held.in_memory]
        going = [kept for kept in outside if kept not in spare]
        left = set(going)
        staying = [kept.held for kept in self._index.retained.values() if kept not in left]
        staying += [sequence.held for sequence in self._index.running.values()]
        if _bytes_outside(staying) + size > self._limit:
            return False
        dropped = 0
        while len(outside) - dropped >= _MOST_SAVED or (
            _bytes_outside(staying + [kept.held for kept in going[dropped:]]) + size > self._limit
        ):
            dropped += 1
        for kept in going[:dropped]:
            self._leave_memory(kept)
        return True

    @property
    def full(self) -> bool:
        """Whether the bytes outside the pool exceed the limit."""
        return _bytes_outside(self._index.memories) > self._limit

    def _leave_memory(self, kept: Retained) -> None:
        """Drop the copy in memory; a sequence that is then nowhere is forgotten."""
        held = kept.held
        if held.saved and self._spills(kept, _bytes_outside([held])):
            self._store(kept)
        held.leave_memory()
        if held.slot == NO_SLOT and not held.on_disk:
            self._index.forget(kept)

    # Files

    def fetch(self, holder: Sequence | Retained | None) -> bool:
        """Whether a sequence is at hand; if not, start reading its files."""
        if not isinstance(holder, Retained) or holder.held.at_hand:
            return True
        if not holder.reading and self._disk is not None:
            holder.reading = True
            self.reading += 1
            self._disk.read(holder.held.missing, partial(self._arrive, holder))
        return False

    def _arrive(self, kept: Retained, found: dict[File, Contents] | None) -> None:
        """Files were read, or were unusable."""
        kept.reading = False
        self.reading -= 1
        self.arrived = True
        held = kept.held
        if kept.key not in self._index.retained or held.at_hand:
            return
        if found is not None:
            self.make_space(sum(contents.nbytes for contents in found.values()), kept)
            held.enter_memory(found)
            last = held.segments[-1].file
            if last in found:
                kept.prompt_logits = found[last].logits
        if not held.at_hand:
            if held.slot != NO_SLOT:
                self.release(held)
            self._index.forget(kept)

    def store_one(self) -> bool:
        """Start writing one saved sequence to its file; False if there is none left."""
        return any(self._store(kept) for kept in self._index.retained.values())

    def close(self) -> None:
        """Write all that is retained. No call may follow."""
        if self._disk is not None:
            while self.save_one() or self.store_one():
                pass
            self._disk.writer.close()

    def _store(self, kept: Retained) -> bool:
        """Start writing a saved sequence's segments that have no file; False if there are none, or it is not
        to be stored."""
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

    def _storable(self, held: SequenceMemory) -> bool:
        """Whether a sequence is to be written to files once it is saved."""
        gone = any(segment.file and segment.file.gone for segment in held.segments)
        return self._disk is not None and held.length >= WORTH_SHARING and not (held.on_disk or gone)

    def _unused(self, files: list[File]) -> list[File]:
        """Files on which no known segment builds."""
        segments = [segment for held in self._index.memories for segment in held.segments]
        used = {id(file) for segment in segments if segment.file for file in segment.file.chain}
        return [file for file in files if id(file) not in used]

    def _spills(self, kept: Retained, size: int) -> bool:
        """Whether a sequence of `size` bytes can be kept in its file alone."""
        return self._disk is not None and self._storable(kept.held) and self._disk.writer.takes(size)


def _bytes_outside(all_held: list[SequenceMemory]) -> int:
    """Bytes of their copies outside the pool; shared ones count once."""
    copies = (copy for held in all_held for copy in (*held.segments, *held.snapshots))
    return sum({id(copy.data): copy.data.nbytes for copy in copies}.values())
