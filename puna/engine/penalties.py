"""Repeat, frequency and presence penalties: they lower the logits of recent tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from puna.options import Options


class Penalties:
    """llama.cpp's `penalties` sampler, applied only to the tokens in the window."""

    def __init__(self, options: Options, *, context: int) -> None:
        """`context`: the window's greatest length in tokens, used where `repeat_last_n` is negative."""
        last_n = context if options.repeat_last_n < 0 else min(options.repeat_last_n, context)
        self._repeat = np.float32(options.repeat_penalty)
        self._frequency = np.float32(options.frequency_penalty)
        self._presence = np.float32(options.presence_penalty)
        self._active = last_n > 0 and (self._repeat != 1 or self._frequency != 0 or self._presence != 0)
        self._last_n = last_n
        self._window: deque[int] = deque()
        # The window's distinct tokens and their counts, in the first len(_places) entries.
        self._ids = np.zeros(last_n, np.intp)
        self._counts = np.zeros(last_n, np.float32)
        self._places: dict[int, int] = {}

    @property
    def distinct(self) -> int:
        """Distinct tokens in the window: the used length of `arrays`."""
        return len(self._places)

    @property
    def arrays(self) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Distinct tokens and their counts. The arrays are never reallocated."""
        return self._ids, self._counts

    def accept(self, token: int) -> None:
        """Add a token to the window."""
        if not self._active:
            return
        if len(self._window) == self._last_n:
            self._remove(self._window.popleft())
        self._window.append(token)
        place = self._places.setdefault(token, len(self._places))
        self._ids[place] = token
        self._counts[place] += 1

    def _remove(self, token: int) -> None:
        place = self._places[token]
        self._counts[place] -= 1
        if self._counts[place]:
            return
        del self._places[token]
        last = len(self._places)
        if place != last:
            self._places[int(self._ids[last])] = place
            self._ids[place], self._counts[place] = self._ids[last], self._counts[last]
            self._counts[last] = 0

    @contextmanager
    def over(self, logits: NDArray[np.float32]) -> Iterator[None]:
        """Penalise logits in place and restore them at the end: a copy would cost as much as the draw."""
        ids, counts = self._ids[: len(self._places)], self._counts[: len(self._places)]
        before = logits[ids]
        lowered = before * self._repeat
        np.divide(before, self._repeat, out=lowered, where=before > 0)
        lowered -= counts * self._frequency + self._presence
        logits[ids] = lowered
        try:
            yield
        finally:
            logits[ids] = before
