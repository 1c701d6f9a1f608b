"""How far an answer trusts the draft model, and when it asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from puna.engine.drafts.rate import Rate, chances

_GRADES = 8
"""Of certainty: the draft model's own probability of what it says, in equal parts."""

_SAMPLE = 3
"""Tokens that are asked for to see whether it pays again."""

_PATIENCE = (64, 1024)
"""Tokens from one such sample to the next, at first and at most."""


class Confidence:
    """How often the draft model was right in one answer, by how certain it was.

    What it says is compared with what comes, whether that was evaluated or not.
    """

    def __init__(self) -> None:
        self._by_grade = [Rate((grade + 0.5) / _GRADES) for grade in range(_GRADES)]
        self._overall = Rate(0.7)
        self._proposed: deque[tuple[int, Rate]] = deque()
        """What it said comes next, as far as nothing else came."""
        self._silent, self._patience = 0, _PATIENCE[0]

    def take(self, token: int) -> None:
        """`token` came."""
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
        """How probably `most` tokens that it has yet to say will be right up to each."""
        return chances([self._overall] * most)

    def sample(self, most: int) -> int:
        """How many tokens to ask for although they do not promise to pay: most of the time none.

        `most`: how many would pay if they were right.
        """
        if not most or self._silent < self._patience:
            return 0
        self._patience = min(2 * self._patience, _PATIENCE[1])
        return min(_SAMPLE, most)

    def weigh(self, tokens: Sequence[int], probabilities: Sequence[float]) -> list[float]:
        """How probably the `tokens` that it says now are right up to each; it gave each a probability."""
        rates = [self._by_grade[min(int(p * _GRADES), _GRADES - 1)] for p in probabilities]
        self._proposed = deque(zip(tokens, rates, strict=True))
        if tokens:
            self._silent = 0
        return chances(rates)
