"""Moves retained sequences between the pool, host memory and files.

Attention masks every cell of the pool, so idle cells slow down running sequences. Retained sequences
therefore leave the pool as soon as another request starts. A restore is a memory copy, hundreds of times
faster than evaluating the tokens again. Sequences that are evicted from host memory stay in files, where
the model's next engine finds them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import partial

from puna.engine.memory import NO_SLOT, Contents, ContextMemory, Disk, File, SequenceMemory
from puna.engine.prefix_index import MIN_PREFIX, PrefixIndex, Retained
from puna.engine.sequence import Sequence

_MAX_ON_HOST = 256
"""Most retained sequences in host memory."""


class Offload:
    """Evicts the least recently used sequences first. `spare` is a sequence that must stay where it is."""

    def __init__(
        self, index: PrefixIndex, context_memory: ContextMemory, *, slots: int, limit: int, disk: Disk | None
    ) -> None:
        """`limit`: bytes of host memory for segments and snapshots."""
        self._index = index
        self._context_memory = context_memory
        self._disk = disk
        self._limit = limit
        self._free_slots = list(range(slots - 1, -1, -1))
        self.reading = 0
        """Sequences whose files are being read."""
        self.arrived = False
        """Whether one was read since the step began."""

    # The pool

    def take_slot(self, spare: Sequence | Retained | None) -> int:
        """A free slot, after an eviction if there is none."""
        if not self._free_slots:
            self._evict(next(each for each in self._in_pool() if each is not spare), spare)
        return self._free_slots.pop()

    def release(self, memory: SequenceMemory) -> None:
        """Free a sequence's slot and cells."""
        self._context_memory.clear(memory.slot)
        self._free_slots.append(memory.slot)
        memory.slot = NO_SLOT

    def evict_one(self) -> bool:
        """Evict one retained sequence from the pool; False if there is none."""
        retained = next(self._in_pool(), None)
        if retained is None:
            return False
        self._evict(retained)
        return True

    def clear_pool(self, spare: Sequence | Retained | None) -> None:
        """Move all retained sequences out of the pool that can be restored later."""
        for retained in list(self._in_pool()):
            if retained is not spare and self._make_restorable(retained, spare):
                self.release(retained.memory)

    def _evict(self, retained: Retained, spare: Sequence | Retained | None = None) -> None:
        """Move a retained sequence out of the pool, or drop it if there is no room elsewhere."""
        if not self._make_restorable(retained, spare):
            self._index.remove(retained)
        self.release(retained.memory)

    def _in_pool(self) -> Iterator[Retained]:
        return (each for each in self._index.retained.values() if each.memory.slot != NO_SLOT)

    # Host memory

    def copy_one(self) -> bool:
        """Copy one retained sequence that is only in the pool to host memory; False if there is none.

        It replaces no copy of another one in the pool: they would replace each other forever.
        """
        in_pool = list(self._in_pool())
        only_in_pool = [each for each in in_pool if not each.memory.restorable]
        return any(self._make_restorable(each, *in_pool) for each in only_in_pool)

    def _make_restorable(self, retained: Retained, *spare: Sequence | Retained | None) -> bool:
        """Copy a sequence in the pool to host memory if necessary; False without room.

        A sequence that exceeds the limit is written to its file at once.
        """
        if retained.memory.restorable:
            return True
        size = self._context_memory.host_copy_size(retained.memory)
        fits = self.reserve_host(size, retained, *spare)
        if not (fits or self._spillable(retained.memory, size)):
            return False
        try:
            self._context_memory.copy_to_host(retained.memory, size, self._index.tokens(retained))
        except MemoryError:
            return False
        if not fits:
            self._evict_from_host(retained)
        return True

    def reserve_host(self, size: int, *spare: Sequence | Retained | None) -> bool:
        """Whether `size` more bytes fit in host memory, after evictions if necessary.

        A sequence whose files are being read keeps what it has there: the rest alone would be of no use.
        """
        if self._host_bytes() + size > self._limit:
            for sequence in self._index.running.values():
                sequence.memory.drop_segments()
        retained = self._index.retained.values()
        on_host = [each for each in retained if each.memory.partly_on_host and not each.reading]
        evictable = [each for each in on_host if each not in spare]
        if self._host_bytes(without=evictable) + size > self._limit:
            return False
        for count, oldest in zip(range(len(on_host), 0, -1), evictable, strict=False):
            if count < _MAX_ON_HOST and self._host_bytes() + size <= self._limit:
                break
            self._evict_from_host(oldest)
        return True

    @property
    def over_limit(self) -> bool:
        """Whether host memory holds more than the limit."""
        return self._host_bytes() > self._limit

    def _host_bytes(self, without: Collection[Retained] = ()) -> int:
        excluded = {id(retained.memory) for retained in without}
        return _host_bytes(memory for memory in self._index.memories if id(memory) not in excluded)

    def _evict_from_host(self, retained: Retained) -> None:
        """Spill a retained sequence to its file. Drop it if it is then neither in the pool nor on disk."""
        memory = retained.memory
        if memory.restorable and self._spillable(memory, _host_bytes([memory])):
            self._write(retained)
        memory.evict_from_host()
        if memory.slot == NO_SLOT and not memory.on_disk:
            self._index.remove(retained)

    # Files

    def fetch(self, source: Sequence | Retained | None) -> bool:
        """Whether a sequence is resident; if not, start reading its files."""
        if not isinstance(source, Retained) or source.memory.resident:
            return True
        if not source.reading and self._disk is not None:
            source.reading = True
            self.reading += 1
            self._disk.read(source.memory.unread_files, partial(self._arrive, source))
        return False

    def _arrive(self, retained: Retained, contents: dict[File, Contents] | None) -> None:
        """A sequence's files were read, or could not be."""
        retained.reading = False
        self.reading -= 1
        self.arrived = True
        memory = retained.memory
        if retained.key not in self._index.retained or memory.resident:
            return
        if contents is not None:
            self.reserve_host(sum(each.nbytes for each in contents.values()), retained)
            memory.load(contents)
            last = memory.segments[-1].file
            if last in contents:
                retained.prompt_logits = contents[last].logits
        if not memory.resident:
            if memory.slot != NO_SLOT:
                self.release(memory)
            self._index.remove(retained)

    def write_one(self) -> bool:
        """Start writing what one sequence has in host memory alone; False if there is none left."""
        return any(self._write(retained) for retained in self._index.retained.values())

    def close(self) -> None:
        """Write all retained sequences. No call may follow."""
        if self._disk is not None:
            while self.copy_one() or self.write_one():
                pass
            self._disk.writer.close()

    def _write(self, retained: Retained) -> bool:
        """Start writing the segments that have no file; False if it is not fully copied or not writable."""
        memory = retained.memory
        if not (self._writable(memory) and memory.restorable):
            return False
        assert self._disk is not None
        parent, replaces = None, self._unused_files(memory.replaces)
        for segment in memory.segments:
            if segment.file is None:
                last = segment is memory.segments[-1]
                snapshots = [s for s in memory.snapshots if segment.begin < s.length <= segment.end]
                segment.file = self._disk.store(
                    Contents(segment.data, snapshots, retained.prompt_logits if last else None),
                    owner=retained.owner,
                    parent=parent,
                    begin=segment.begin,
                    tokens=segment.tokens,
                    prompt_tokens=retained.prompt_tokens,
                    replaces=replaces if last else (),
                )
            parent = segment.file
        memory.replaces = []
        return True

    def _writable(self, memory: SequenceMemory) -> bool:
        """Whether a sequence can and should be written to files once it is fully copied."""
        gone = any(segment.file and segment.file.gone for segment in memory.segments)
        return self._disk is not None and memory.length >= MIN_PREFIX and not (memory.on_disk or gone)

    def _spillable(self, memory: SequenceMemory, size: int) -> bool:
        """Whether a sequence of `size` bytes can be written to its file at once."""
        return self._disk is not None and self._writable(memory) and self._disk.writer.accepts(size)

    def _unused_files(self, files: list[File]) -> list[File]:
        """The files that are no part of a known sequence."""
        segments = [segment for memory in self._index.memories for segment in memory.segments]
        used = {id(file) for segment in segments if segment.file for file in segment.file.chain}
        return [file for file in files if id(file) not in used]


def _host_bytes(memories: Iterable[SequenceMemory]) -> int:
    """Bytes of segments and snapshots in host memory; shared ones count once."""
    copies = (copy for memory in memories for copy in (*memory.segments, *memory.snapshots))
    return sum({id(copy.data): copy.data.nbytes for copy in copies}.values())
