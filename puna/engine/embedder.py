"""Embeds texts, or scores pairs of texts, with as few batches as possible."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.engine.budget import TOO_LONG
from puna.engine.libllama import Context, LlamaModel
from puna.engine.messages import Event, Vectors, failure
from puna.engine.pairs import pairs
from puna.errors import NotNumbers, PromptTooLong, PunaError
from puna.types import Texts


@dataclass(eq=False)
class EmbedJob:
    """One request: its texts as tokens, and the finished rows of its answer (a score is a row of one)."""

    request: int
    texts: list[list[int]]
    rows: NDArray[np.float32]
    normalize: bool = False
    done: int = 0
    failed: bool = False


def prepare(
    model: LlamaModel, request: int, texts: Texts, *, truncate: bool, limit: int, normalize: bool
) -> EmbedJob:
    """Tokenise texts; token ids stay unchanged.

    A text longer than `limit` tokens is truncated before its end token. Raises PromptTooLong when
    truncation is not allowed or would leave nothing, BadRequest for an id that is no token.
    """
    prepared = []
    around = model.tokenize("", add_special=True)
    for number, text in enumerate(texts):
        if isinstance(text, str):
            tokens = model.tokenize(text, add_special=True)
        else:
            tokens = text
            model.check(tokens, f"texts[{number}]")
        if len(tokens) > limit:
            if not truncate:
                raise PromptTooLong(TOO_LONG, len(tokens), limit)
            if limit <= len(around):
                raise PromptTooLong("input after truncation exceeds maximum context length")
            closing = tokens[-1:] if around[-1:] == tokens[-1:] else []
            tokens = tokens[: limit - len(closing)] + closing
        prepared.append(tokens or [max(model.bos, 0)])
    return EmbedJob(request, prepared, np.zeros((len(texts), model.n_embd), np.float32), normalize)


def prepare_pairs(
    model: LlamaModel, request: int, query: str, documents: list[str], *, truncate: bool, limit: int
) -> EmbedJob:
    """Tokenise `query` with each document. Raises BadRequest as `pairs` does."""
    prepared = pairs(model, query, documents, truncate=truncate, limit=limit)
    return EmbedJob(request, prepared, np.zeros((len(documents), 1), np.float32))


def relevance(labels: NDArray[np.float32]) -> float:
    """A pair's score, 0 to 1, from a reranker's output: one logit, or probabilities with "yes" first."""
    return float(labels[0]) if len(labels) > 1 else float(1 / (1 + np.exp(-labels[0])))


class Embedder:
    """The batch loop of a model that embeds or ranks. `emit` receives each finished request."""

    def __init__(self, context: Context, *, slots: int, emit: Callable[[Event], None]) -> None:
        self.ranks = context.ranks
        self._context = context
        self._slots = slots
        self._emit = emit
        self._waiting: deque[tuple[EmbedJob, int]] = deque()

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    def work_while_idle(self, *, long: bool = False) -> bool:
        """Nothing to do: no sequence is retained."""
        return False

    def close(self) -> None:
        """Nothing to write."""

    def submit(self, request: EmbedJob) -> None:
        if not request.texts:
            self._emit(Vectors(request.request, b"", request.rows.shape[1], 0))
        self._waiting.extend((request, index) for index in range(len(request.texts)))

    def cancel(self, request: int) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[0].request != request)

    def step(self) -> None:
        """Evaluate as many waiting texts as one batch holds."""
        packed, size = self._pack()
        context = self._context
        context.clear()
        if context.decode(size) != 0:
            for request in {entry[0] for entry in packed}:
                self._fail(request, PunaError("libllama could not evaluate the texts"))
            return
        row = -1
        for slot, (request, index) in enumerate(packed):
            row += len(request.texts[index])
            if request.failed:
                continue
            try:
                vector = context.embedding(slot, row)
            except NotNumbers as error:
                self._fail(request, error)
                continue
            if self.ranks:
                request.rows[index] = relevance(vector)
            elif request.normalize:
                request.rows[index] = vector / max(float(np.linalg.norm(vector)), 1e-12)
            else:
                request.rows[index] = vector
            request.done += 1
            if request.done == len(request.texts):
                tokens = sum(map(len, request.texts))
                width = request.rows.shape[1]
                self._emit(Vectors(request.request, request.rows.tobytes(), width, tokens))

    def _fail(self, request: EmbedJob, error: PunaError) -> None:
        request.failed = True
        self.cancel(request.request)
        self._emit(failure(request.request, error))

    def _pack(self) -> tuple[list[tuple[EmbedJob, int]], int]:
        packed: list[tuple[EmbedJob, int]] = []
        at, context = 0, self._context
        while self._waiting and len(packed) < self._slots:
            request, index = self._waiting[0]
            tokens = request.texts[index]
            end = at + len(tokens)
            if end > context.n_batch:
                break
            context.tokens[at:end] = tokens
            context.positions[at:end] = range(len(tokens))
            context.sequences[at:end] = len(packed)
            packed.append(self._waiting.popleft())
            at = end
        context.wants_output[:at] = 1
        return packed, at
