"""Finds the highest logits, which truncation keeps, at memory speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 512
"""The most tokens to find, and the smallest vocabulary."""

_COLUMNS = 4 * WIDTH
"""The number of accumulators that fit beside the logits in the L1 cache."""

_FEW = 256
"""The most columns that are faster to search than the whole."""


class Peaks:
    """The logits as a table of columns, with each column's peak: one pass locates the high ones."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        """`logits`: at least one, all numbers or -inf."""
        self._logits = logits
        columns = _COLUMNS if len(logits) >= _COLUMNS else WIDTH if len(logits) >= WIDTH else 1
        self._end = len(logits) // columns * columns
        self._table = logits[: self._end].reshape(-1, columns)
        self._peaks = self._table.max(axis=0)
        self.highest = max(self._peaks.max(), logits[self._end :].max(initial=-np.inf))

    def bound(self, most: int) -> np.float32:
        """A logit that at least `most` reach, and few more do: peaks are logits themselves."""
        peaks = self._peaks.reshape(-1, WIDTH).max(axis=0)
        return np.partition(peaks, WIDTH - most)[WIDTH - most]

    def reaching(self, bound: np.float32 | float) -> NDArray[np.intp]:
        """Ascending ids of the tokens whose logit is at least `bound`, without forbidden ones."""
        logits = self._logits
        if bound == -np.inf:
            return np.flatnonzero(logits > bound)
        near = np.flatnonzero(self._peaks >= bound)
        if len(near) > _FEW:
            return np.flatnonzero(logits >= bound)
        rows, columns = divmod(np.flatnonzero(self._table.take(near, axis=1) >= bound), len(near) or 1)
        tail = np.flatnonzero(logits[self._end :] >= bound)
        return np.concatenate((rows * self._table.shape[1] + near[columns], tail + self._end))


def shortlist(logits: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Ascending ids of the tokens with the `most` highest logits, and a few more.

    Tokens of -inf are omitted. If logits are NaN it may return all tokens, but never none.
    """
    peaks = Peaks(logits)
    ids = peaks.reaching(peaks.bound(most))
    return ids if len(ids) else np.arange(len(logits))
