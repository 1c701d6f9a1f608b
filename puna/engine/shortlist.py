"""The highest logits without a look at each: what truncation keeps, found at memory speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 512
"""Most tokens that can be asked for, and fewest that a vocabulary must have."""

_COLUMNS = 4 * WIDTH
"""Accumulators that fit beside the logits in the first cache."""

_FEW = 256
"""Columns that are sooner looked through than the whole."""


class Peaks:
    """The logits as a table of columns, and each column's peak: one pass tells where the high ones are."""

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
        """Ids, ascending, of the tokens whose logit is at least `bound`, but for those that may not come."""
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
    """Ids, ascending, of all tokens whose logit is among the `most` highest, and of a few more.

    Tokens of -inf are left out. Where logits are not numbers all may be taken; none never.
    """
    peaks = Peaks(logits)
    ids = peaks.reaching(peaks.bound(most))
    return ids if len(ids) else np.arange(len(logits))
