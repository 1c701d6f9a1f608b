"""The interface of a model that drafts, its requests and its proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from puna.engine.drafts.costs import Costs
from puna.engine.libllama import LlamaModel


@dataclass(frozen=True, eq=False)
class ProposalRequest:
    """A request for at most `most` tokens after `tokens`, as long as all are right with probability `least`.

    `key` identifies the sequence: only its new tokens are evaluated. A prefix shared with another sequence
    of the same `owner` is reused.
    """

    key: int
    tokens: list[int]
    most: int
    least: float = 0.0
    owner: str = ""


@dataclass(eq=False)
class Proposal:
    """Tokens, and the probability of each given those before it."""

    tokens: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    chance: float = 1.0
    """The probability that all are right."""

    def extend(self, request: ProposalRequest, logits: NDArray[np.float32], model: LlamaModel) -> bool:
        """Append the likeliest token; whether to draft another."""
        token = int(logits.argmax())
        total = float(np.exp(logits - logits[token]).sum())
        self.tokens.append(token)
        self.probabilities.append(1 / total)
        self.chance /= total
        ends = model.ends(token) or self.chance < request.least
        return len(self.tokens) < request.most and not ends


@dataclass(frozen=True, eq=False)
class EvaluatedRows:
    """Rows of the target's last batch: tokens `start` to `end` of a sequence, then those of its draft."""

    key: int
    owner: str
    tokens: list[int]
    """All of the sequence."""
    start: int
    end: int
    draft: list[int]
    first: int
    """The first row."""


class Proposer(Protocol):
    """A model that drafts for all sequences."""

    model: LlamaModel
    costs: Costs

    def follow(self, parts: Sequence[EvaluatedRows]) -> None:
        """Process rows that the target has just evaluated."""
        ...

    def propose(self, requests: Sequence[ProposalRequest]) -> list[Proposal]:
        """A proposal for each; empty if its text is not evaluated yet, or cannot be."""
        ...
