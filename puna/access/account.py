"""Counts one key's use of this server, and enforces the key's limits."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from puna.access.errors import TooMany
from puna.access.key import Key
from puna.access.usage import DAY, KeyUsage

_MINUTE = 60.0


class Account:
    """The use of one key. `clock` returns monotonic seconds, `today` seconds since 1970."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, today: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._today = today
        self._starts: deque[float] = deque()
        """Start times of the last minute's requests, if their number is limited."""
        self._running = 0
        self.saved = KeyUsage()
        """The use in the file, summed over the servers that share it."""
        self.unsaved = KeyUsage()
        """The use that is not yet in the file."""

    def begin(self, key: Key) -> None:
        """Count a request, which runs until `end`. Raises TooMany; a refused request does not count."""
        now = self._clock()
        self._check_minute(key, now)
        self._check_day(key)
        if key.concurrent and self._running >= key.concurrent:
            raise TooMany(f"your key allows {key.concurrent} requests at once", "requests", 1)
        if key.requests_per_minute:
            self._starts.append(now)
        self._running += 1
        self.spend(0)

    def end(self) -> None:
        """End a request."""
        self._running -= 1

    @property
    def usage(self) -> KeyUsage:
        """The key's whole use, in the file or not."""
        both = KeyUsage()
        both.add(self.saved)
        both.add(self.unsaved)
        return both

    def spend(self, tokens: int) -> None:
        now = int(self._today())
        self.unsaved.add(KeyUsage(now, now // DAY, tokens))

    def take(self) -> KeyUsage:
        """Take the use that is not yet in the file. From now on it counts as saved."""
        usage, self.saved, self.unsaved = self.unsaved, self.usage, KeyUsage()
        return usage

    def _check_minute(self, key: Key, now: float) -> None:
        if not key.requests_per_minute:
            self._starts.clear()
            return
        while self._starts and self._starts[0] <= now - _MINUTE:
            self._starts.popleft()
        if len(self._starts) >= key.requests_per_minute:
            # The limit may have been lowered: wait until enough requests are older than a minute.
            first = self._starts[len(self._starts) - key.requests_per_minute]
            wait = math.ceil(first + _MINUTE - now)
            raise TooMany(
                f"your key allows {key.requests_per_minute} requests a minute; try again in {wait} s",
                "requests",
                wait,
            )

    def _check_day(self, key: Key) -> None:
        if not key.tokens_per_day:
            return
        now = int(self._today())
        day = now // DAY
        if self.saved.on(day) + self.unsaved.on(day) >= key.tokens_per_day:
            raise TooMany(
                f"your key allows {key.tokens_per_day} tokens a day (UTC), and they are used up",
                "tokens",
                (day + 1) * DAY - now,
            )
