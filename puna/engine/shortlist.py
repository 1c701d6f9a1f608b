"""The highest logits without a look at each: what top-k sampling keeps, found at memory speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 512
"""Most tokens that can be asked for, and fewest that a vocabulary must have."""


def shortlist(logits: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Ids, ascending, of all tokens whose logit is among the `most` highest, and of a few more.

    The logits are laid out as a table of WIDTH columns. The column peaks are logits themselves, so at least
    `most` logits reach the peak that is `most`th: all that do are taken, equal ones too. Where logits are not
    numbers all may be taken; none never.
    """
    rows = len(logits) // WIDTH
    peaks = logits[: rows * WIDTH].reshape(rows, WIDTH).max(axis=0)
    bound = np.partition(peaks, WIDTH - most)[WIDTH - most]
    return np.flatnonzero(~(logits < bound))
