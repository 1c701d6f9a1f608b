"""Continuous batching: every step evaluates one token of each answer and a chunk of the prompts that wait.

The loop owns the context and runs on one thread. A step is: admit, fill the batch, decode, sample.
When the pool is full, retained prefixes go first, then the youngest request starts over later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from puna.engine import budget, logprobs, memory
from puna.engine.grammar import Matcher
from puna.engine.libllama import Context, Model
from puna.engine.messages import Event, Finished, Started, Text, failed
from puna.engine.pictures import Gallery, Picture
from puna.engine.prefix_cache import WORTH_SHARING, Prefix, PrefixCache, Retained
from puna.engine.sequence import Sequence
from puna.types import Begun, Ended, NotNumbers, PromptTooLong, PunaError

_NO_ROOM = 1

_ROOM_TO_ANSWER = 128
"""Cells that must be free beyond a prompt before it is let in beside others."""


class BatchLoop:
    """Runs sequences to their end. `emit` gets each event; events of a step belong together."""

    def __init__(
        self,
        model: Model,
        context: Context,
        *,
        slots: int,
        parallel: int,
        cache: int,
        emit: Callable[[Event], None],
        gallery: Gallery | None = None,
        disk: memory.Disk | None = None,
    ) -> None:
        """`cache`: bytes of finished sequences that may be kept outside the pool.

        `gallery`: what pictures are seen with, if the model sees. `disk`: where they outlive it.
        """
        self._model = model
        self._context = context
        self._cache = PrefixCache(slots=slots, memory=memory.of(model, context), limit=cache, disk=disk)
        self._parallel = parallel
        self._emit = emit
        self._gallery = gallery
        self._waiting: deque[Sequence] = deque()
        self._chunk = budget.Chunk(most=context.n_batch)
        self._idle = False
        """The last step found nothing to do."""
        self._full = False
        """A request had to leave the pool: nobody enters until one that runs has ended."""

    @property
    def busy(self) -> bool:
        """Whether a step would do anything: not while all wait for the encoder."""
        if self._idle and self._gallery is not None and self._gallery.encoding:
            return False
        return bool(self._waiting or self._cache.running)

    def submit(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)
        self._idle = False

    def cancel(self, request: int) -> None:
        """Forget a request; what it has evaluated stays for others. Unknown ids are ignored."""
        self._idle = False
        for sequence in self._cache.running.values():
            if sequence.request == request:
                self._leave(sequence)
                return
        for sequence in self._waiting:
            if sequence.request == request:
                self._waiting.remove(sequence)
                sequence.sampler.close()
                return

    def step(self) -> None:
        """One round for all requests."""
        self._idle = True
        self._admit()
        looked = self._gallery is not None and self._look(self._gallery)
        rows = self._fill()
        if rows:
            self._evaluate(rows)
        if looked or rows:
            self._idle = False

    def rest(self, *, long: bool = False) -> bool:
        """Do what helps later requests while there are none; False when nothing is left to do.

        What takes the machine's time from others waits for a `long` rest.
        """
        return self._cache.save_one() or (long and self._cache.store_one())

    def close(self) -> None:
        """Nobody is left to answer: keep what was evaluated for the next engine."""
        self._cache.close()

    def _admit(self) -> None:
        """Start waiting requests in order; one that waits for a prefix lets others pass, one that
        waits for room does not."""
        if self._full and self._cache.running:
            return
        held: deque[Sequence] = deque()
        while self._waiting and len(self._cache.running) < self._parallel:
            sequence = self._waiting.popleft()
            known = not (sequence.answered or sequence.reporting)
            repeat = self._cache.repeat_of(sequence) if known else None
            if repeat is not None:
                self._replay(sequence, repeat)
                continue
            prefix = Prefix() if sequence.reporting else self._cache.find(sequence)
            if prefix.promised - prefix.length >= WORTH_SHARING:
                self._cache.await_prefix(prefix)
                held.append(sequence)
            elif self._crowded(sequence, prefix):
                held.append(sequence)
                break
            else:
                self._cache.begin(sequence, prefix)
                if not sequence.answered:
                    self._begun(sequence)
        held.extend(self._waiting)
        self._waiting = held

    def _begun(self, sequence: Sequence) -> None:
        """Tell, once, how much of the prompt is to be evaluated."""
        sequence.cached_tokens = sequence.evaluated
        if not (sequence.told or sequence.reporting):
            self._tell(sequence)

    def _tell(self, sequence: Sequence) -> None:
        sequence.told = True
        begun = Begun(sequence.prompt_tokens, sequence.cached_tokens, tuple(sequence.read))
        self._emit(Started(sequence.request, begun))

    def _crowded(self, sequence: Sequence, prefix: Prefix) -> bool:
        """Whether the running requests leave too little of the pool for this one's prompt."""
        running = self._cache.running.values()
        claimed = sum(len(other.tokens) - other.shared for other in running)
        wanted = len(sequence.tokens) - prefix.length + _ROOM_TO_ANSWER
        return bool(running) and claimed + wanted > self._context.n_ctx

    def _replay(self, sequence: Sequence, repeat: Retained) -> None:
        """Go on from the end of a prompt that was evaluated before, with the very same logits."""
        started = time.perf_counter_ns()
        logits = repeat.prompt_logits
        assert logits is not None
        self._idle = False
        self._cache.begin(sequence, Prefix(repeat, len(sequence.tokens)))
        self._begun(sequence)
        if sequence.evaluated < len(sequence.tokens):
            return  # there was no room to bring it back: it is evaluated like any other
        sequence.prompt_logits = logits
        sequence.prompt_ns = time.perf_counter_ns() - started
        self._sample(sequence, logits)

    # One step

    def _fill(self) -> list[tuple[Sequence, int]]:
        """Write the batch; returns each sequence with how many rows it got."""
        running = self._cache.running.values()
        decoding = [s for s in running if s.decoding]
        prefilling = [s for s in running if not s.decoding]
        room = self._context.n_batch - len(decoding)
        chunk = min(room, self._chunk.size - len(decoding) % budget.TILE) if decoding else room
        reportable = budget.reportable(sum(s.reporting for s in prefilling))
        readable = [min(s.ready, reportable) if s.reporting else s.ready for s in prefilling]
        shares = budget.share(readable, chunk)
        rows = [(s, 1) for s in decoding] + [
            (s, size) for s, size in zip(prefilling, shares, strict=True) if size
        ]
        at = 0
        context = self._context
        context.wants_output[: context.n_batch] = 0
        for sequence, size in rows:
            start, end = sequence.evaluated, sequence.evaluated + size
            context.tokens[at : at + size] = sequence.tokens[start:end]
            position = sequence.layout.position(start)
            context.positions[at : at + size] = range(position, position + size)
            context.sequences[at : at + size] = sequence.slot
            at += size
            if sequence.reporting:
                context.wants_output[at - size : at] = 1
            context.wants_output[at - 1] |= end == len(sequence.tokens)
        return rows

    def _evaluate(self, rows: list[tuple[Sequence, int]]) -> None:
        started = time.perf_counter_ns()
        status = self._context.decode(sum(size for _, size in rows))
        if status == _NO_ROOM:
            self._make_room()
            return
        if status != 0:
            for sequence, _ in rows:
                self._fail(sequence, PunaError(f"libllama could not evaluate the batch (status {status})"))
            return
        took = time.perf_counter_ns() - started
        self._chunk.learn(sum(size for _, size in rows), took)
        at = 0
        for sequence, size in rows:
            at += size
            self._advance(sequence, size, at - 1, took)

    def _advance(self, sequence: Sequence, size: int, row: int, took: int) -> None:
        """`size` more tokens are evaluated, the last of them in row `row` of the batch."""
        if not sequence.answered:
            sequence.prompt_ns += took
        try:
            if sequence.reporting:
                self._report(sequence, row - size + 1, row)
            self._cache.extend(sequence, size)
            logits = None if sequence.pending else self._context.logits(row)
        except NotNumbers as error:
            self._fail(sequence, error)
            return
        if logits is not None:
            if not sequence.answered:
                sequence.prompt_logits = logits.copy()
            self._sample(sequence, logits)

    def _report(self, sequence: Sequence, first: int, last: int) -> None:
        """Rows `first` to `last` say how probable the next tokens of the prompt were."""
        wanted, spell, tokens = sequence.job.logprobs or 0, self._model.spell, sequence.tokens
        for place, row in enumerate(range(first, last + 1), sequence.evaluated + 1):
            if place == len(tokens):
                self._tell(sequence)
            elif place == len(sequence.read):  # not one that was reported before it had to leave the pool
                logits = self._context.logits(row)
                sequence.read.append(logprobs.report(logits, tokens[place], wanted, spell))

    def _look(self, gallery: Gallery) -> bool:
        """Keep the encoder at work, and evaluate one picture that it has seen; whether there was one."""
        for sequence in list(self._cache.running.values()):
            for picture in sequence.layout.ahead(sequence.evaluated):
                try:
                    vectors = gallery.vectors(picture)
                except PunaError as error:
                    self._fail(sequence, error)
                    break
                facing = picture.start == sequence.evaluated
                if vectors is None:
                    sequence.encoded += gallery.encode(sequence.media[picture.seen.medium], picture)
                    if facing and not sequence.waits_since:
                        sequence.waits_since = time.perf_counter_ns()
                elif facing:
                    self._see(sequence, picture, vectors)
                    return True
        return False

    def _see(self, sequence: Sequence, picture: Picture, vectors: NDArray[np.float32]) -> None:
        """Evaluate the rows of a picture in a step of their own."""
        started = sequence.waits_since or time.perf_counter_ns()
        sequence.waits_since = 0
        status, row = self._context.decode_rows(
            vectors,
            picture.seen.places(sequence.layout.position(picture.start)),
            sequence.slot,
            causal=picture.seen.causal,
            output=picture.end == len(sequence.tokens),
        )
        if status == 0:
            self._advance(sequence, picture.seen.rows, row, time.perf_counter_ns() - started)
        elif status == _NO_ROOM:
            self._cache.rewrite(sequence, picture.start)
            self._make_room()
        else:
            problem = f"libllama could not evaluate an image or a sound (status {status})"
            self._fail(sequence, PunaError(problem))

    def _sample(self, sequence: Sequence, logits: NDArray[np.float32]) -> None:
        if sequence.job.silent:
            self._finish(sequence, "length")
            return
        if not sequence.answered:
            sequence.answering_since = time.perf_counter_ns()
        token = sequence.draw(logits)
        sequence.take(token)
        ends, wanted = self._model.ends(token), sequence.job.logprobs
        plain = self._model.piece(token)
        text = "" if ends else sequence.piece(token, plain)
        if wanted is not None and (not ends or sequence.job.echo):
            spelled = logprobs.report(logits, token, wanted, self._model.spell)
            self._emit(Text(sequence.request, text, sequence.unsaid(), (spelled,)))
        elif text:
            self._emit(Text(sequence.request, text, sequence.unsaid()))
        if ends or sequence.text.stopped:
            self._finish(sequence, "stop")
        elif sequence.matcher is not None and sequence.matcher.finished:
            self._end_of_grammar(sequence, sequence.matcher)
        elif sequence.answered >= sequence.limit:
            self._finish(sequence, "length")
        elif sequence.stuck(plain):
            self._finish(sequence, "repetition")
        elif len(sequence.tokens) >= sequence.num_ctx:
            self._shift(sequence)

    def _end_of_grammar(self, sequence: Sequence, matcher: Matcher) -> None:
        """Nothing may follow: the answer is complete, or its grammar has become more than can be kept."""
        trouble = matcher.trouble
        if trouble is None:
            if sequence.answered < sequence.limit:
                # Only the end token may follow, so the model need not be asked.
                sequence.take(self._model.eos)
            self._finish(sequence, "stop")
        elif sequence.job.grammar and sequence.job.grammar.strict:
            self._fail(sequence, trouble)
        else:
            sequence.matcher = None

    def _shift(self, sequence: Sequence) -> None:
        """Drop the older half of a full context and evaluate the newer half again.

        Evaluating it again costs a fraction of what answering it cost, works for every kind of memory,
        and never moves cells that another sequence shares.
        """
        if not sequence.job.shift:
            self._finish(sequence, "length")
            return
        first, last = budget.older_half(
            len(sequence.tokens), sequence.job, num_ctx=sequence.num_ctx, begins=sequence.begins
        )
        self._cache.rewrite(sequence, sequence.cut_out(first, last))

    # Leaving

    def _finish(self, sequence: Sequence, reason: Ended) -> None:
        rest = sequence.text.finish()
        if rest:
            self._emit(Text(sequence.request, rest, sequence.unsaid()))
        self._emit(Finished(sequence.request, sequence.finish(reason)))
        self._leave(sequence)

    def _fail(self, sequence: Sequence, error: PunaError) -> None:
        self._emit(failed(sequence.request, error))
        self._cache.discard(sequence)
        sequence.sampler.close()
        self._full = False

    def _leave(self, sequence: Sequence) -> None:
        """End a running request; what it has evaluated stays for others."""
        sequence.sampler.close()
        self._cache.end(sequence)
        self._full = False

    def _make_room(self) -> None:
        """The pool is full: retained prefixes leave it, then the youngest request waits for its return."""
        if self._cache.make_room():
            return
        youngest = next(reversed(self._cache.running.values()))
        if len(self._cache.running) == 1:
            self._fail(youngest, PromptTooLong(budget.TOO_LONG))
            return
        self._cache.end(youngest)
        self._cache.make_room()
        self._waiting.appendleft(youngest)
        self._full = True
