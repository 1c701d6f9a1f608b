"""Chunk sizes, timeouts and retries of transfers."""

from __future__ import annotations

from dataclasses import dataclass

from puna.errors import PunaError


@dataclass(frozen=True)
class TransferLimits:
    """Sizes in bytes, times in seconds."""

    part: int = 32 << 20
    """Bytes of a range request. Parts are requested in order, so that hashing keeps up."""
    streams: int = 8
    """Parts fetched concurrently."""
    chunk: int = 64 << 20
    """Bytes of an upload request; many proxies allow at most 100 MB."""
    connect: float = 10.0
    stall: float = 30.0
    """Timeout of a silent connection."""
    commit: float = 600.0
    """Timeout for a registry to verify an upload."""
    attempts: int = 6
    """Consecutive failures without progress that end a transfer."""
    back_off: float = 1.0
    """The wait after the first failure; it doubles with each, up to `longest`.
    A registry may ask for more (Retry-After)."""
    longest: float = 30.0

    def wait(self, failures: int, error: Exception) -> float:
        """The wait after this many consecutive failures, of which `error` is the last."""
        asked = error.retry_after if isinstance(error, PunaError) else 0
        return max(asked, min(self.longest, self.back_off * 2 ** (failures - 1)))


DEFAULT_LIMITS = TransferLimits()
