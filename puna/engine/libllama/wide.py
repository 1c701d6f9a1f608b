"""Draws from a whole vocabulary, or from the large part of it that has `top_p` of the probability.

The result equals llama.cpp's chain (top_p, min_p, temperature, dist). The chain sorts tokens. Here only
logits are sorted, which is many times faster, and the drawn one is looked up.
"""

from __future__ import annotations

import math
import secrets

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama.softmax import exponentials
from puna.engine.shortlist import Peaks
from puna.options import Options

_NEAR = 6.0
"""How far below the peak a nucleus is searched first: few tokens are sorted fast."""

_ROUNDED = 1e-3
"""How much lower the bound of a nucleus is taken, because sums round."""

_BLOCK = 256
"""Weights that are summed at once to find the drawn place."""


class WideDraw:
    """One request's draws. `scratch` has room for a vocabulary; all requests share it."""

    def __init__(self, options: Options, scratch: NDArray[np.float32]) -> None:
        self._top_p = options.top_p
        self._min_p = options.min_p
        self._temperature = np.float32(options.temperature)
        self._scratch = scratch
        self._random = np.random.MT19937()
        seed = options.seed & 0xFFFFFFFF if options.seed >= 0 else secrets.randbits(32)
        self._random._legacy_seeding(seed)  # that of C++'s std::mt19937

    def draw(self, logits: NDArray[np.float32]) -> int:
        """A token; `logits` has at least one that is not -inf."""
        if self._top_p >= 1:
            return self._place(logits)
        ids, values = self._likely(logits, max(self._top_p, 0.0))
        ordered = -np.sort(-values)
        place = self._place(ordered[: self._kept(ordered)])
        same = ids[values == ordered[place]]
        return int(same[place - np.searchsorted(-ordered, -ordered[place])])

    def _likely(
        self, logits: NDArray[np.float32], part: float
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Tokens that together have at least `part` of the probability, no likelier one left out, and their
        logits."""
        peaks = Peaks(logits)
        peak = float(peaks.highest)
        _, whole = exponentials(logits, peak, self._scratch)
        self._peak, self._mass = peak, part * whole
        ids = peaks.reaching(peak - _NEAR)
        values = logits[ids]
        if exponentials(values, peak, self._scratch)[1] < self._mass:
            # All tokens below this together have less than what top_p leaves out.
            ids = peaks.reaching(peak + math.log((1 - part) * whole / len(logits)) - _ROUNDED)
            values = logits[ids]
        return ids, values

    def _kept(self, ordered: NDArray[np.float32]) -> int:
        """How many of the likeliest tokens top_p and min_p leave, at least one."""
        chances, _ = exponentials(ordered, self._peak, self._scratch)
        count = reached(chances, self._mass) + 1
        if self._min_p > 0:
            bound = np.float32(self._peak + math.log(self._min_p))
            count = min(count, int(np.searchsorted(-ordered, -bound, side="right")))
        return max(1, count)

    def _place(self, logits: NDArray[np.float32]) -> int:
        """Draw one of these, by its place."""
        scaled = np.divide(logits, self._temperature, dtype=np.float32)
        weights, total = exponentials(scaled, float(scaled.max()), self._scratch)
        return reached(weights, self._uniform() * total)

    def _uniform(self) -> float:
        """From 0 to 1, as std::uniform_real_distribution<double> of libstdc++ gives it."""
        low, high = self._random.random_raw(2).tolist()
        return (low + high * 2.0**32) / 2.0**64


def reached(weights: NDArray[np.float32], sum_: float) -> int:
    """The first place up to which the weights have at least this sum; the last if none has."""
    end = len(weights) // _BLOCK * _BLOCK
    sums = np.append(weights[:end].reshape(-1, _BLOCK).sum(axis=1, dtype=np.float32), weights[end:].sum())
    before = sums.cumsum(dtype=np.float64)
    block = min(int(np.searchsorted(before, sum_)), len(sums) - 1)
    rest = sum_ - (before[block - 1] if block else 0.0)
    within = weights[block * _BLOCK : (block + 1) * _BLOCK].cumsum(dtype=np.float64)
    return min(block * _BLOCK + int(np.searchsorted(within, rest)), len(weights) - 1)
