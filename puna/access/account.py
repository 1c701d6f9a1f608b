"""What one key has taken from this server, held against the key's limits."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from puna.access.errors import TooMany
from puna.access.key import Key
from puna.access.usage import DAY, Used

_MINUTE = 60.0


class Account:
    """The count of one key. `clock` is seconds that never jump, `today` seconds since 1970."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, today: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._today = today
        self._begun: deque[float] = deque()
        """When the requests of the last minute began, if those are limited."""
        self._running = 0
        self.known = Used()
        """What the file holds, of every server that shares it."""
        self.counted = Used()
        """What is not yet written down."""

    def begin(self, key: Key) -> None:
        """Count a request, which runs until `end`. Raises TooMany; one that is refused does not count."""
        now = self._clock()
        self._check_minute(key, now)
        self._check_day(key)
        if key.concurrent and self._running >= key.concurrent:
            raise TooMany(f"your key allows {key.concurrent} requests at once", "requests", 1)
        if key.requests_per_minute:
            self._begun.append(now)
        self._running += 1
        self._count(0)

    def end(self) -> None:
        """A request that was begun has ended."""
        self._running -= 1

    @property
    def used(self) -> Used:
        """All that the key was used for, written down or not."""
        both = Used()
        both.add(self.known)
        both.add(self.counted)
        return both

    def spend(self, tokens: int) -> None:
        self._count(tokens)

    def taken(self) -> Used:
        """What is not yet written down, for the one who writes it."""
        counted, self.counted = self.counted, Used()
        self.known.add(counted)
        return counted

    def _count(self, tokens: int) -> None:
        now = int(self._today())
        self.counted.add(Used(now, now // DAY, tokens))

    def _check_minute(self, key: Key, now: float) -> None:
        if not key.requests_per_minute:
            self._begun.clear()
            return
        while self._begun and self._begun[0] <= now - _MINUTE:
            self._begun.popleft()
        if len(self._begun) >= key.requests_per_minute:
            # The limit may have been lowered: as many as there are above it must pass out of the minute.
            first = self._begun[len(self._begun) - key.requests_per_minute]
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
        if self.known.on(day) + self.counted.on(day) >= key.tokens_per_day:
            raise TooMany(
                f"your key allows {key.tokens_per_day} tokens a day (UTC), and they are used up",
                "tokens",
                (day + 1) * DAY - now,
            )
