"""Draws an answer's next token, reports its text, and decides whether the answer ends with it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from puna.engine import logprobs
from puna.engine.grammar import Matcher
from puna.engine.libllama import LlamaModel
from puna.engine.messages import AnswerText, Event
from puna.engine.sequence import Sequence
from puna.errors import PunaError
from puna.types import Ended

Outcome = Ended | PunaError | None
"""After a token: the reason why the answer ends, its error, or None if it continues."""


class Answering:
    """Draws tokens and reports them through `emit`. It does not change the sequences' memory."""

    def __init__(self, model: LlamaModel, emit: Callable[[Event], None]) -> None:
        self._model = model
        self._emit = emit

    def emit(self, sequence: Sequence, logits: NDArray[np.float32]) -> Outcome:
        """Draw the next token and report its text. Returns why the answer ends, if it does."""
        if sequence.job.silent:
            return "length"
        if not sequence.answered:
            sequence.answering_since = time.perf_counter_ns()
        token = sequence.draw(logits)
        sequence.append(token)
        ends, plain = self._model.ends(token), self._model.piece(token)
        most = sequence.job.logprobs
        if most is not None and (not ends or sequence.job.echo):
            report = logprobs.report(logits, token, most, self._model.spell)
            sequence.unshown.append((sequence.text.read, report))
        self._report(sequence, "" if ends else sequence.piece(token, plain))
        if ends or sequence.text.stopped:
            return "stop"
        if sequence.matcher is not None and sequence.matcher.finished:
            ended = self._end_of_grammar(sequence, sequence.matcher)
            if ended:
                return ended
        if sequence.answered >= sequence.limit:
            return "length"
        return "repetition" if sequence.repeats_itself(plain) else None

    def finish(self, sequence: Sequence) -> None:
        """Report the text that was withheld."""
        self._report(sequence, sequence.text.finish())

    def _report(self, sequence: Sequence, text: str) -> None:
        reports = sequence.shown_reports() if sequence.unshown else ()
        if text or reports:
            self._emit(AnswerText(sequence.request, text, sequence.count_new_tokens(), reports))

    def _end_of_grammar(self, sequence: Sequence, matcher: Matcher) -> Outcome:
        """The grammar has stopped: the answer is complete, or the matcher failed."""
        error = matcher.error
        if error is None:
            if sequence.answered < sequence.limit and self._model.eos >= 0:
                # Only the end token may follow, so no evaluation is needed.
                sequence.append(self._model.eos)
            return "stop"
        if sequence.job.grammar and sequence.job.grammar.strict:
            return error
        sequence.matcher = None
        return None
