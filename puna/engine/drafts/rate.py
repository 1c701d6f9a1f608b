"""How often drafts of one kind are right."""

from __future__ import annotations

from collections.abc import Iterable

_WEIGHT = 1 / 16
"""Weight of a new token in the measured rate."""


class Rate:
    """The rate at which drafts of one kind are right: a prior until it is measured."""

    def __init__(self, foreseen: float, *, seen: int = 2) -> None:
        """The prior counts as much as `seen` drafts."""
        self.value = foreseen
        self._seen = seen

    def learn(self, right: bool) -> None:
        self._seen += 1
        self.value += max(_WEIGHT, 1 / self._seen) * (right - self.value)


def chances(rates: Iterable[Rate]) -> list[float]:
    """The probability that all drafted tokens are right, up to each."""
    found, chance = [], 1.0
    for rate in rates:
        chance *= rate.value
        found.append(chance)
    return found
