"""Turns commands into the loop's work. Those that need only the vocabulary are answered at once."""

from __future__ import annotations

from functools import partial

from puna.engine import embedder
from puna.engine.embedder import Embedder
from puna.engine.intake import Intake
from puna.engine.libllama import LlamaModel
from puna.engine.loop import BatchLoop
from puna.engine.messages import (
    Command,
    Detokenize,
    Embed,
    Generate,
    Measure,
    PlainText,
    Rank,
    Size,
    TokenIds,
    Tokenize,
)
from puna.engine.output import Output
from puna.engine.preparation import Work
from puna.errors import BadRequest


class Commands:
    """Turns the server's commands into work for one model's loop."""

    def __init__(
        self, loop: BatchLoop | Embedder, model: LlamaModel, intake: Intake, output: Output, *, num_ctx: int
    ) -> None:
        """`num_ctx`: tokens of the longest text that is embedded or ranked."""
        self._loop = loop
        self._model = model
        self._intake = intake
        self._output = output
        self._num_ctx = num_ctx

    def work(self, command: Command) -> Work | None:
        """The loop's work for a command; None if it is already answered. Raises BadRequest."""
        if isinstance(command, Generate):
            if not isinstance(self._loop, BatchLoop):
                raise BadRequest("this model turns text into vectors and cannot generate")
            return partial(self._loop.submit, self._intake.sequence(command))
        if isinstance(command, Embed):
            return self._embed(command)
        if isinstance(command, Rank):
            return self._rank(command)
        if isinstance(command, Tokenize):
            tokens = self._intake.tokenize(command.text, add_bos=command.add_bos)
            self._output.send([TokenIds(command.request, tokens)])
        elif isinstance(command, Measure):
            self._output.send([Size(command.request, self._intake.measure(command.medium))])
        elif isinstance(command, Detokenize):
            self._model.check(command.tokens, "tokens")
            text = self._model.detokenize(command.tokens)
            self._output.send([PlainText(command.request, text)])
        return None

    def _embed(self, command: Embed) -> Work:
        if not isinstance(self._loop, Embedder) or self._loop.ranks:
            raise BadRequest("this model does not turn text into vectors")
        limit = min(command.limit or self._num_ctx, self._num_ctx)
        texts = embedder.prepare(
            self._model,
            command.request,
            command.texts,
            truncate=command.truncate,
            limit=limit,
            normalize=command.normalize,
        )
        return partial(self._loop.submit, texts)

    def _rank(self, command: Rank) -> Work:
        if not isinstance(self._loop, Embedder) or not self._loop.ranks:
            raise BadRequest("this model does not rank documents")
        pairs = embedder.prepare_pairs(
            self._model,
            command.request,
            command.query,
            command.documents,
            truncate=command.truncate,
            limit=self._num_ctx,
        )
        return partial(self._loop.submit, pairs)
