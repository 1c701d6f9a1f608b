"""The rows of the table that `make bench` prints, and how a row's number is found."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5
MEGABYTE = 1 << 20


@dataclass
class Row:
    what: str
    measured: float
    target: float
    unit: str = "×"
    more_is_better: bool = True

    @property
    def met(self) -> bool:
        return self.measured >= self.target if self.more_is_better else self.measured <= self.target

    def __str__(self) -> str:
        sign = "≥" if self.more_is_better else "≤"
        verdict = "yes" if self.met else "NO"
        digits = 0 if self.unit == "MB" else 2
        return (
            f"| {self.what} | {self.measured:.{digits}f} {self.unit} "
            f"| {sign} {self.target:g} {self.unit} | {verdict} |"
        )


def median(once: Callable[[], float], rounds: int = ROUNDS) -> float:
    once()
    return statistics.median(once() for _ in range(rounds))
