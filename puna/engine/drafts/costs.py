"""Whether a draft pays: what a step of so many rows takes, and what it brings."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

_WEIGHT = 0.25
"""Of a new measurement."""

_BELIEVED = 500
"""Steps after which a size that was not used is taken for unknown: what it cost may have changed."""

_DOUBLING = 16
"""Rows that are taken to double the time of a step of one, until it is known."""

_MARGIN = 1.03
"""How much more a draft must promise than its absence: it is drawn and looked for, too."""


@dataclass
class _Point:
    rows: float
    took: float
    step: int


class Costs:
    """How long steps take by how many rows they have, learned from those that were taken.

    Sizes up to the next power of two count as one. Between two that are known the time is taken to grow
    evenly, and slowly beyond them: so a size that was never tried looks good enough to be tried. Below them
    it is taken to shrink with the rows: so a step without drafts is known before there are any.
    """

    def __init__(self) -> None:
        self._points: dict[int, _Point] = {}
        """Ascending."""
        self._steps = 0

    def learn(self, rows: int, took: int) -> None:
        """A step of `rows` rows took so many nanoseconds."""
        self._steps += 1
        size = (rows - 1).bit_length()
        point = self._points.get(size)
        if point is None:
            point = self._points[size] = _Point(rows, took, self._steps)
            self._points = dict(sorted(self._points.items()))
        # A machine that was busy with something else for a moment says little.
        point.took += _WEIGHT * (min(took, 2 * point.took) - point.took)
        point.rows += _WEIGHT * (rows - point.rows)
        point.step = self._steps
        for size, point in list(self._points.items()):
            if self._steps - point.step > _BELIEVED:
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


def worth(chances: Sequence[float], costs: Costs, *, rows: int, tokens: float, each: float = 0.0) -> int:
    """How much of a draft to evaluate in a step that has `rows` rows and brings `tokens` tokens without it.

    `chances[i]`: how probably the draft is right up to its i-th token. `each`: nanoseconds that it takes to
    guess one. Most tokens a second are wanted.
    """
    best, length = _MARGIN * promise((), costs, rows=rows, tokens=tokens), 0
    for size in range(1, len(chances) + 1):
        if size & (size + 1) == 0 or size == len(chances):
            rate = promise(chances[:size], costs, rows=rows, tokens=tokens, each=each)
            if rate > best:
                best, length = rate, size
    return length


def promise(chances: Sequence[float], costs: Costs, *, rows: int, tokens: float, each: float = 0.0) -> float:
    """Tokens a nanosecond of a step that evaluates the whole draft; the arguments are those of `worth`."""
    took = costs.of(rows + len(chances)) + each * len(chances)
    return (tokens + sum(chances)) / max(took, 1)
