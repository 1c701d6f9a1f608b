"""Continuous batching: every step evaluates one token of each answer and a chunk of the waiting prompts.

The loop owns the context and runs on one thread. A step is: admit, schedule a batch, run it, advance.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from puna.engine import budget, memory
from puna.engine.answering import Answering, Outcome
from puna.engine.batch import Batch, Share
from puna.engine.drafts import Proposer
from puna.engine.libllama import POOL_FULL, Context, LlamaModel
from puna.engine.media import EncoderCache, MediaSpan
from puna.engine.messages import Event, Finished, failure
from puna.engine.prefix_cache import PrefixCache
from puna.engine.scheduler import BatchScheduler
from puna.engine.scoring import Scoring
from puna.engine.sequence import Sequence
from puna.errors import NotNumbers, PromptTooLong, PunaError
from puna.types import Ended

_log = logging.getLogger(__name__)


class BatchLoop:
    """Runs sequences to their end. `emit` gets each event; those of one step are sent together."""

    def __init__(
        self,
        model: LlamaModel,
        context: Context,
        *,
        slots: int,
        parallel: int,
        cache: int,
        emit: Callable[[Event], None],
        encoder_cache: EncoderCache | None = None,
        disk: memory.Disk | None = None,
        proposer: Proposer | None = None,
    ) -> None:
        """`cache`: bytes of host memory for retained sequences. `disk`: stores them for the next engine.

        `encoder_cache`: encodes pictures and sounds, if the model takes any. `proposer`: drafts.
        """
        self._context = context
        self._cache = PrefixCache(
            slots=slots, context_memory=memory.of(model, context), limit=cache, disk=disk
        )
        self._scheduler = BatchScheduler(context, self._cache, parallel=parallel, proposer=proposer)
        self._emit = emit
        self._encoder_cache = encoder_cache
        self._answering = Answering(model, emit)
        self._scoring = Scoring(model, context, emit)
        self._idle = False
        """Whether the last step did nothing."""

    @property
    def busy(self) -> bool:
        """Whether a step would do anything: not while all requests wait for the encoder or for files."""
        return self._scheduler.busy and not (self._idle and self.waits and not self._arrived)

    @property
    def _arrived(self) -> bool:
        """Whether a picture was encoded or a file was read since the last step began."""
        encoded = self._encoder_cache is not None and self._encoder_cache.arrived
        return encoded or self._cache.offload.arrived

    @property
    def waits(self) -> bool:
        """Whether the encoder is running, or files are being read."""
        encoding = self._encoder_cache is not None and self._encoder_cache.encoding
        return encoding or self._cache.offload.reading > 0

    def submit(self, sequence: Sequence) -> None:
        self._scheduler.submit(sequence)
        self._idle = False

    def cancel(self, request: int) -> None:
        """End a request without an event, and retain what it has evaluated. Unknown ids are ignored."""
        self._idle = False
        for sequence in self._cache.running.values():
            if sequence.request == request:
                self._retain(sequence)
                return
        self._scheduler.withdraw(request)

    def step(self) -> None:
        """One round for all requests."""
        self._idle, self._cache.offload.arrived = True, False
        self._admit()
        if self._encoder_cache is not None:
            self._encoder_cache.arrived = False
            if self._evaluate_media(self._encoder_cache):
                self._idle = False
        batch = self._scheduler.schedule()
        if batch.shares:
            self._idle = False
            self._advance(*self._run(batch))

    def work_while_idle(self, *, long: bool = False) -> bool:
        """Copy a retained sequence to host memory, or after a `long` pause write one to its file.

        False if nothing is left to do. Writing slows other programs down.
        """
        return self._cache.offload.copy_one() or (long and self._cache.offload.write_one())

    def close(self) -> None:
        """Write the retained sequences to files. No call may follow."""
        self._cache.offload.close()

    # One step

    def _admit(self) -> None:
        for sequence, repeat in self._scheduler.admit():
            self._scoring.begin(sequence)
            if repeat is not None:
                # A repeated prompt's first token is drawn from the same logits as before.
                self._idle = False
                logits = sequence.prompt_logits = repeat.prompt_logits
                assert logits is not None
                self._conclude(sequence, self._answering.emit(sequence, logits))

    def _run(self, batch: Batch) -> tuple[Batch, int]:
        """Evaluate a batch. If the pool is full, leave out the drafts, or evaluate nothing and make room.

        Returns what was evaluated, and the nanoseconds it took.
        """
        started = time.perf_counter_ns()
        status = batch.evaluate(self._context)
        if status == POOL_FULL and batch.has_drafts:
            batch = self._scheduler.schedule(drafting=False)
            status = batch.evaluate(self._context)
        if status == POOL_FULL:
            self._make_room()
        elif status:
            error = PunaError(f"libllama could not evaluate the batch (status {status})")
            for share in batch.shares:
                self._fail(share.sequence, error)
        if status:
            return Batch([]), 0
        self._context.synchronize()
        took = time.perf_counter_ns() - started
        self._scheduler.learn(batch, took)
        _log.debug("batch: %s; %.1f ms", batch, took / 1e6)
        return batch, took

    def _advance(self, batch: Batch, took: int) -> None:
        """Advance each sequence by its share of the batch."""
        batch.draw(self._context)
        row = 0
        for share in batch.shares:
            self._advance_sequence(share, row, took)
            row += share.rows

    def _advance_sequence(self, share: Share, first: int, took: int) -> None:
        """Advance a sequence by its share, which was evaluated from row `first` of the batch on."""
        sequence, size = share.sequence, share.size
        if not sequence.answered:
            sequence.prompt_ns += took
        try:
            if sequence.scoring:
                self._scoring.score(sequence, first, size)
            if size < sequence.pending:
                self._cache.advance(sequence, size)
                return
            if not sequence.answered:
                sequence.prompt_logits = self._context.logits(first + size - 1).copy()
            accepted, ended = self._verify(sequence, share.draft, first + size - 1)
        except NotNumbers as error:
            self._fail(sequence, error)
            return
        self._cache.advance(sequence, size + accepted, rejected=len(share.draft) - accepted)
        self._conclude(sequence, ended)

    def _verify(self, sequence: Sequence, draft: list[int], row: int) -> tuple[int, Outcome]:
        """Draw tokens as long as they equal the draft's; returns how many did, and why the answer ends.

        The logits of the next token are in row `row`, those after each drafted token in the following rows.
        """
        sequence.drafted += len(draft)
        for accepted, token in enumerate(draft):
            ended = self._emit_row(sequence, row + accepted)
            if ended or sequence.tokens[-1] != token:
                return accepted, ended
            sequence.accepted += 1
        return len(draft), self._emit_row(sequence, row + len(draft))

    def _emit_row(self, sequence: Sequence, row: int) -> Outcome:
        checked = sequence.sampler.drawn is not None
        return self._answering.emit(sequence, self._context.logits(row, checked=checked))

    def _evaluate_media(self, encoder_cache: EncoderCache) -> bool:
        """Keep the encoder busy, and evaluate one encoded picture or sound; whether there was one."""
        rows = 0
        for sequence in list(self._cache.running.values()):
            for span in sequence.layout.spans_from(sequence.evaluated):
                due = span.start == sequence.evaluated
                rows += span.chunk.rows
                if rows > encoder_cache.most_rows and not due:
                    break  # It would push out what is evaluated before it.
                try:
                    vectors = encoder_cache.vectors(span)
                except PunaError as error:
                    self._fail(sequence, error)
                    break
                if vectors is None:
                    sequence.encoded += encoder_cache.encode(sequence.media[span.chunk.medium], span)
                    if due and not sequence.media_wait_since:
                        sequence.media_wait_since = time.perf_counter_ns()
                elif due:
                    self._evaluate_span(sequence, span, vectors)
                    return True
        return False

    def _evaluate_span(self, sequence: Sequence, span: MediaSpan, vectors: NDArray[np.float32]) -> None:
        """Evaluate the rows of a picture or a sound in a batch of their own."""
        started = sequence.media_wait_since or time.perf_counter_ns()
        sequence.media_wait_since = 0
        status, row = self._context.decode_rows(
            vectors,
            span.chunk.positions(sequence.layout.position(span.start)),
            sequence.slot,
            causal=span.chunk.causal,
            output=span.end == len(sequence.tokens),
        )
        if status == 0:
            rows = span.chunk.rows
            self._advance_sequence(Share(sequence, rows), row - rows + 1, time.perf_counter_ns() - started)
        elif status == POOL_FULL:
            self._cache.truncate(sequence, span.start)
            self._make_room()
        else:
            problem = f"libllama could not evaluate an image or a sound (status {status})"
            self._fail(sequence, PunaError(problem))

    def _conclude(self, sequence: Sequence, ended: Outcome) -> None:
        """End an answer that is complete, or shift a full context."""
        if isinstance(ended, PunaError):
            self._fail(sequence, ended)
        elif ended:
            self._finish(sequence, ended)
        elif len(sequence.tokens) >= sequence.num_ctx:
            self._shift(sequence)

    def _shift(self, sequence: Sequence) -> None:
        """Drop the older half of a full context and evaluate the newer half again.

        Prefill costs a fraction of decoding, works for every kind of memory, and never moves cells that
        another sequence shares.
        """
        if not sequence.job.shift:
            self._finish(sequence, "length")
            return
        first, last = budget.older_half(
            len(sequence.tokens), sequence.job, num_ctx=sequence.num_ctx, has_bos=sequence.has_bos
        )
        self._cache.truncate(sequence, sequence.cut_out(first, last))

    # The end of a request

    def _finish(self, sequence: Sequence, reason: Ended) -> None:
        self._answering.finish(sequence)
        self._emit(Finished(sequence.request, sequence.finish(reason)))
        self._retain(sequence)

    def _fail(self, sequence: Sequence, error: PunaError) -> None:
        self._emit(failure(sequence.request, error))
        self._cache.discard(sequence)
        self._end(sequence)

    def _retain(self, sequence: Sequence) -> None:
        """End a running request, and retain what it has evaluated."""
        self._cache.retain(sequence)
        self._end(sequence)

    def _end(self, sequence: Sequence) -> None:
        sequence.sampler.close()
        self._scheduler.on_end(sequence)

    def _make_room(self) -> None:
        alone = self._scheduler.make_room()
        if alone is not None:
            self._fail(alone, PromptTooLong(budget.TOO_LONG))
