"""Decides which sequences run, and what each step evaluates.

Requests are admitted in turn (`turns`). A step evaluates one token of each answer, drafts where they pay,
and chunks of the prompts. When the pool is full, retained sequences are evicted first; then the youngest
request is preempted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from puna.engine import budget, turns
from puna.engine.batch import Batch, Share
from puna.engine.drafting import Drafting
from puna.engine.drafts import Proposer
from puna.engine.libllama import Context
from puna.engine.prefix_cache import PrefixCache
from puna.engine.prefix_index import MIN_PREFIX, Prefix, Retained
from puna.engine.sequence import Sequence

_ROOM_TO_ANSWER = 128
"""Cells that must be free beyond a prompt before it is admitted beside others."""


class BatchScheduler:
    """Admits, batches and preempts. It evaluates nothing itself, except a draft model."""

    def __init__(
        self,
        context: Context,
        cache: PrefixCache,
        *,
        parallel: int,
        proposer: Proposer | None = None,
    ) -> None:
        self._context = context
        self._cache = cache
        self._parallel = parallel
        self._waiting: list[Sequence] = []
        """In order of arrival."""
        self._chunk = budget.PrefillChunk(most=context.n_batch)
        self._drafting = Drafting(proposer, n_batch=context.n_batch)
        self._pool_full = False
        """A request was preempted for room. None is admitted until a running one has ended."""

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._cache.running)

    def submit(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)

    def withdraw(self, request: int) -> None:
        """Drop a waiting request."""
        for sequence in self._waiting:
            if sequence.request == request:
                self._waiting.remove(sequence)
                sequence.sampler.close()
                return

    # Admission

    def admit(self) -> Iterator[tuple[Sequence, Retained | None]]:
        """Admit waiting requests in turn, each with the retained sequence whose prompt it repeats, if any.

        A request that waits for a prefix or for files lets others pass; one that waits for room does not.
        """
        if not self._waiting or (self._pool_full and self._cache.running):
            return
        for sequence in self._in_turn():
            if len(self._cache.running) >= self._parallel and not self._preempt_for(sequence):
                break
            fresh = not (sequence.answered or sequence.scoring)
            repeat = self._cache.index.repeat_of(sequence) if fresh else None
            if repeat is not None:
                whole = Prefix(repeat, len(sequence.tokens))
                if self._lacks_room(sequence, whole):
                    break
                if not self._cache.offload.fetch(repeat):
                    continue
                started = time.perf_counter_ns()
                self._waiting.remove(sequence)
                self._cache.start(sequence, whole)
                sequence.prompt_ns = time.perf_counter_ns() - started
                # If the pool has no room to restore it, the prompt is evaluated.
                yield sequence, None if sequence.pending else repeat
                continue
            prefix = Prefix() if sequence.scoring else self._cache.index.find(sequence)
            if prefix.upcoming - prefix.length >= MIN_PREFIX:
                self._cache.plan_snapshot(prefix)
            elif self._lacks_room(sequence, prefix):
                break
            elif self._cache.offload.fetch(prefix.source):
                self._waiting.remove(sequence)
                self._cache.start(sequence, prefix)
                yield sequence, None

    def _in_turn(self) -> list[Sequence]:
        running = [sequence.job.turn for sequence in self._cache.running.values()]
        order = turns.order([sequence.job.turn for sequence in self._waiting], running)
        return [self._waiting[at] for at in order]

    def _preempt_for(self, newcomer: Sequence) -> bool:
        """Preempt the longest prompt, if the newcomer's user has nothing running and its prompt is shorter.

        The preempted prompt resumes later where it was, and is not preempted again. Batch requests preempt
        only each other. False if none is preempted.
        """
        turn, running = newcomer.job.turn, self._cache.running.values()
        if newcomer.preempted or any(sequence.job.turn.user == turn.user for sequence in running):
            return False
        longer = [
            sequence
            for sequence in running
            if not (sequence.answered or sequence.preempted)
            and sequence.pending > len(newcomer.tokens)
            and max(sequence.job.turn.priority, 0) >= turn.priority
        ]
        longest = max(longer, key=lambda sequence: sequence.pending, default=None)
        if longest is None:
            return False
        longest.preempted = True
        self._cache.retain(longest)
        self._waiting.insert(0, longest)
        return True

    def _lacks_room(self, sequence: Sequence, prefix: Prefix) -> bool:
        """Whether the running requests leave too few cells for this one's prompt.

        Only a prefix that a running request has is already in cells that they claim.
        """
        running = self._cache.running.values()
        claimed = sum(len(other.tokens) - other.shared for other in running)
        shared = prefix.length if isinstance(prefix.source, Sequence) else 0
        needed = len(sequence.tokens) - shared + _ROOM_TO_ANSWER
        return bool(running) and claimed + needed > self._context.n_ctx

    # A step

    def schedule(self, *, drafting: bool = True) -> Batch:
        """The next batch. Without drafts it needs the fewest cells."""
        running = self._cache.running.values()
        decoding = [s for s in running if s.decoding]
        prefilling = [s for s in running if not s.decoding]
        max_draft = self._cache.max_draft(len(running)) if drafting else 0
        if max_draft:
            others = min(sum(s.ready for s in prefilling), self._chunk.size)
            answers = self._drafting.shares(decoding, others, max_draft)
        else:
            answers = [Share(sequence, 1) for sequence in decoding]
        rows = sum(share.rows for share in answers)
        room = self._context.n_batch - rows
        chunk = min(room, self._chunk.size - rows % budget.TILE) if decoding else room
        max_reported = budget.max_reported(sum(s.scoring for s in prefilling))
        ready = [min(s.ready, max_reported) if s.scoring else s.ready for s in prefilling]
        sizes = turns.shares(ready, [s.job.turn.user for s in prefilling], chunk)
        shares = zip(prefilling, sizes, strict=True)
        return Batch(answers + [Share(sequence, size) for sequence, size in shares if size])

    def learn(self, batch: Batch, took: int) -> None:
        """A batch took so many nanoseconds."""
        self._chunk.learn(batch.rows, took)
        self._drafting.learn(batch, took)

    def on_end(self, sequence: Sequence) -> None:
        """A request has ended: its cells are free, and later answers may repeat its text."""
        self._pool_full = False
        self._drafting.remember(sequence)

    def make_room(self) -> Sequence | None:
        """Make room in a full pool: evict a retained sequence, or preempt the youngest request.

        Returns the only running request if nothing can be evicted for it.
        """
        if self._cache.offload.evict_one():
            return None
        youngest = next(reversed(self._cache.running.values()))
        if len(self._cache.running) == 1:
            return youngest
        self._cache.retain(youngest)
        self._cache.offload.evict_one()
        self._waiting.insert(0, youngest)
        self._pool_full = True
        return None
