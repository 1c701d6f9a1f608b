"""Reports the probabilities of a prompt's own tokens (`Job.echo`), and how much of it was cached."""

from __future__ import annotations

from collections.abc import Callable

from puna.engine import logprobs
from puna.engine.libllama import Context, LlamaModel
from puna.engine.messages import Event, Started
from puna.engine.sequence import Sequence
from puna.types import Begun


class Scoring:
    """Reports through `emit`. It does not change the sequences' memory."""

    def __init__(self, model: LlamaModel, context: Context, emit: Callable[[Event], None]) -> None:
        self._model = model
        self._context = context
        self._emit = emit

    def begin(self, sequence: Sequence) -> None:
        """Report once how much of the prompt was cached. A scored prompt reports it at its end."""
        if sequence.answered or sequence.started:
            return
        sequence.cached_tokens = sequence.evaluated
        if not sequence.scoring:
            self._report_start(sequence)

    def score(self, sequence: Sequence, first: int, size: int) -> None:
        """Score the tokens after `size` evaluated ones, whose logits are in the rows from `first` on."""
        most, tokens = sequence.job.logprobs or 0, sequence.tokens
        for row, index in enumerate(range(sequence.evaluated + 1, sequence.evaluated + size + 1), first):
            if index == len(tokens):
                self._report_start(sequence)
            elif index == len(sequence.prompt_logprobs):  # it may have been scored before a preemption
                logits = self._context.logits(row)
                sequence.prompt_logprobs.append(
                    logprobs.report(logits, tokens[index], most, self._model.spell)
                )

    def _report_start(self, sequence: Sequence) -> None:
        sequence.started = True
        begun = Begun(sequence.prompt_tokens, sequence.cached_tokens, tuple(sequence.prompt_logprobs))
        self._emit(Started(sequence.request, begun))
