"""How often a proposer is right for one answer, and when to ask it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from puna.engine.drafts.rate import Rate, cumulative

_BINS = 8
"""Equal bins of the proposer's own probability."""

_SAMPLE = 3
"""Tokens of a probe, which shows whether drafts pay again."""

_PATIENCE = (64, 1024)
"""Tokens between two probes, at first and at most."""


class Confidence:
    """The rate at which a proposer was right in one answer, by its own probability.

    Every proposed token is compared with the answer's, evaluated or not.
    """

    def __init__(self) -> None:
        self._by_bin = [Rate((index + 0.5) / _BINS) for index in range(_BINS)]
        self._overall = Rate(0.7)
        self._proposed: deque[tuple[int, Rate]] = deque()
        """The proposed tokens that are still to be compared."""
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

    def acceptance(self, most: int) -> list[float]:
        """For each of the next `most` tokens, the probability that it and all before it are right."""
        return cumulative([self._overall] * most)

    def sample(self, most: int) -> int:
        """Tokens to request as a probe although they probably do not pay; usually 0.

        `most`: how many would pay if they were right.
        """
        if not most or self._silent < self._patience:
            return 0
        self._patience = min(2 * self._patience, _PATIENCE[1])
        return min(_SAMPLE, most)

    def weigh(self, tokens: Sequence[int], probabilities: Sequence[float]) -> list[float]:
        """For each of the `tokens`, the probability that it and all before it are right."""
        rates = [self._by_bin[min(int(p * _BINS), _BINS - 1)] for p in probabilities]
        self._proposed = deque(zip(tokens, rates, strict=True))
        if tokens:
            self._silent = 0
        return cumulative(rates)
