"""How far an answer trusts the draft model, and when it asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from puna.engine.drafts.rate import Rate, chances

_GRADES = 8
"""Equal bins of the draft model's own probability."""

_SAMPLE = 3
"""Tokens of a probe, which shows whether drafts pay again."""

_PATIENCE = (64, 1024)
"""Tokens between two probes, at first and at most."""


class Confidence:
    """How often the draft model was right in one answer, by its own probability.

    Every drafted token is compared with the answer's, whether it was evaluated or not.
    """

    def __init__(self) -> None:
        self._by_grade = [Rate((grade + 0.5) / _GRADES) for grade in range(_GRADES)]
        self._overall = Rate(0.7)
        self._proposed: deque[tuple[int, Rate]] = deque()
        """The drafted tokens that are not contradicted yet."""
        self._silent, self._patience = 0, _PATIENCE[0]

    def take(self, token: int) -> None:
        """`token` was drawn."""
        self._silent += 1
        if self._proposed:
            proposed, rate = self._proposed.popleft()
            rate.learn(proposed == token)
            self._overall.learn(proposed == token)
            if proposed == token:
                self._patience = _PATIENCE[0]
            else:
                self._proposed.clear()

    def foreseen(self, most: int) -> list[float]:
        """The probability that all of the next `most` drafted tokens are right, up to each."""
        return chances([self._overall] * most)

    def sample(self, most: int) -> int:
        """Tokens to draft as a probe although they do not promise to pay; usually 0.

        `most`: how many would pay if they were right.
        """
        if not most or self._silent < self._patience:
            return 0
        self._patience = min(2 * self._patience, _PATIENCE[1])
        return min(_SAMPLE, most)

    def weigh(self, tokens: Sequence[int], probabilities: Sequence[float]) -> list[float]:
        """The probability that all `tokens` of a draft are right, up to each, from the model's own."""
        rates = [self._by_grade[min(int(p * _GRADES), _GRADES - 1)] for p in probabilities]
        self._proposed = deque(zip(tokens, rates, strict=True))
        if tokens:
            self._silent = 0
        return chances(rates)
