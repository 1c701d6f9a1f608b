"""Whether a draft pays: the time of a step by its rows, and its expected tokens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

_WEIGHT = 0.25
"""Weight of a new measurement."""

_MAX_AGE = 500
"""Steps after which a measurement is dropped, because the cost may have changed."""

_DOUBLING = 16
"""Rows assumed to double the time of a one-row step, until measured."""

_MARGIN = 1.03
"""How many times the throughput without a draft it must yield, because making it costs time too."""


@dataclass
class _Point:
    rows: float
    took: float
    step: int


class Costs:
    """The time of a step by its rows, learned from measured steps.

    Sizes up to the next power of two count as one. Between two measured sizes the time is interpolated.
    Above them it grows slowly, so that new sizes are tried. Below them it shrinks with the rows, so that
    the cost of a step without drafts is known at once.
    """

    def __init__(self) -> None:
        self._points: dict[int, _Point] = {}
        """Ascending."""
        self._steps = 0

    def learn(self, rows: int, took: int) -> None:
        """Learn that a step of `rows` rows took `took` nanoseconds."""
        self._steps += 1
        size = (rows - 1).bit_length()
        point = self._points.get(size)
        if point is None:
            point = self._points[size] = _Point(rows, took, self._steps)
            self._points = dict(sorted(self._points.items()))
        # Capped, because another program may have delayed this step.
        point.took += _WEIGHT * (min(took, 2 * point.took) - point.took)
        point.rows += _WEIGHT * (rows - point.rows)
        point.step = self._steps
        for size, point in list(self._points.items()):
            if self._steps - point.step > _MAX_AGE:
                del self._points[size]

    def of(self, rows: int) -> float:
        """Nanoseconds of a step of `rows` rows; 0 if nothing is known."""
        points = list(self._points.values())
        if not points:
            return 0
        after = bisect_left(points, rows, key=lambda point: point.rows)
        if after == 0:
            return points[0].took * rows / points[0].rows
        if after == len(points):
            return points[-1].took + points[0].took * (rows - points[-1].rows) / _DOUBLING
        low, high = points[after - 1], points[after]
        share = (rows - low.rows) / (high.rows - low.rows)
        return low.took + share * (high.took - low.took)


def best_length(
    probabilities: Sequence[float], costs: Costs, *, rows: int, tokens: float, each: float = 0.0
) -> int:
    """How many drafted tokens maximise tokens per second, beside `rows` rows that yield `tokens` tokens.

    `probabilities[i]`: that the draft is right up to its token i. `each`: nanoseconds to draft
    one.
    """
    best, length = _MARGIN * throughput((), costs, rows=rows, tokens=tokens), 0
    for size in range(1, len(probabilities) + 1):
        if size & (size + 1) == 0 or size == len(probabilities):
            rate = throughput(probabilities[:size], costs, rows=rows, tokens=tokens, each=each)
            if rate > best:
                best, length = rate, size
    return length


def throughput(
    probabilities: Sequence[float], costs: Costs, *, rows: int, tokens: float, each: float = 0.0
) -> float:
    """Tokens per nanosecond of a step with the whole draft. The arguments are those of `best_length`."""
    took = costs.of(rows + len(probabilities)) + each * len(probabilities)
    return (tokens + sum(probabilities)) / max(took, 1)
