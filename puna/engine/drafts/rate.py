"""How often guesses of one sort come true."""

from __future__ import annotations

from collections.abc import Iterable

_WEIGHT = 1 / 16
"""Of a token among those that taught how often guesses are right."""


class Rate:
    """How often guesses of one sort are right; they are foreseen until they were seen."""

    def __init__(self, foreseen: float, *, seen: int = 2) -> None:
        """What is foreseen counts as much as `seen` guesses."""
        self.value = foreseen
        self._seen = seen

    def learn(self, right: bool) -> None:
        self._seen += 1
        self.value += max(_WEIGHT, 1 / self._seen) * (right - self.value)


def chances(rates: Iterable[Rate]) -> list[float]:
    """How probably all guesses up to each are right."""
    found, chance = [], 1.0
    for rate in rates:
        chance *= rate.value
        found.append(chance)
    return found
