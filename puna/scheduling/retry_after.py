"""How long a refused client should wait (RFC 9110, Retry-After)."""

from __future__ import annotations

import math
from collections import deque

_MOST = 600
"""Seconds, at most."""


class RetryAfter:
    """Estimates when the next request ends, from the last ones. Times in seconds of one clock."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=16)

    def add_end(self, now: float) -> None:
        self._ends.append(now)

    def seconds(self, now: float) -> int:
        """Seconds until the next request ends: whole, at least 1."""
        if len(self._ends) < 2:
            return 1
        first, last = self._ends[0], self._ends[-1]
        interval = (last - first) / (len(self._ends) - 1)
        # If nothing has ended for longer than the average interval, use that time.
        return min(max(math.ceil(max(interval, now - last)), 1), _MOST)
