"""The rate at which drafted tokens of one kind are right."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable

_WEIGHT = 1 / 16
"""Weight of a new token in the measured rate."""


class Rate:
    """A moving average, which begins with a prior."""

    def __init__(self, prior: float, *, seen: int = 2) -> None:
        """The prior counts as much as `seen` tokens."""
        self.value = prior
        self._seen = seen

    def learn(self, right: bool) -> None:
        self._seen += 1
        self.value += max(_WEIGHT, 1 / self._seen) * (right - self.value)


def cumulative(rates: Iterable[Rate]) -> list[float]:
    """For each token, the probability that it and all before it are right."""
    return list(itertools.accumulate((rate.value for rate in rates), operator.mul))
