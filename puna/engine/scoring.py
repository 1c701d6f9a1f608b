"""How probable a prompt's own tokens were (`Job.echo`), and how much of a prompt is evaluated."""

from __future__ import annotations

from collections.abc import Callable

from puna.engine import logprobs
from puna.engine.libllama import Context, LlamaModel
from puna.engine.messages import Event, Started
from puna.engine.sequence import Sequence
from puna.types import Begun


class Scoring:
    """Reports through `emit` what a batch has evaluated; it does not touch memory."""

    def __init__(self, model: LlamaModel, context: Context, emit: Callable[[Event], None]) -> None:
        self._model = model
        self._context = context
        self._emit = emit

    def begin(self, sequence: Sequence) -> None:
        """Report once how much of the prompt is to be evaluated; a scored prompt reports it at its end."""
        if sequence.answered or sequence.announced:
            return
        sequence.cached_tokens = sequence.evaluated
        if not sequence.scoring:
            self._announce(sequence)

    def score(self, sequence: Sequence, first: int, size: int) -> None:
        """Report the probabilities that the rows of `size` tokens, from `first` on, give the tokens after."""
        wanted, tokens = sequence.job.logprobs or 0, sequence.tokens
        for row, place in enumerate(range(sequence.evaluated + 1, sequence.evaluated + size + 1), first):
            if place == len(tokens):
                self._announce(sequence)
            elif place == len(sequence.read):  # not one that was scored before it was preempted
                logits = self._context.logits(row)
                sequence.read.append(logprobs.report(logits, tokens[place], wanted, self._model.spell))

    def _announce(self, sequence: Sequence) -> None:
        sequence.announced = True
        begun = Begun(sequence.prompt_tokens, sequence.cached_tokens, tuple(sequence.read))
        self._emit(Started(sequence.request, begun))
