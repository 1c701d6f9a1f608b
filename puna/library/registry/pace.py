"""How a transfer is cut, how long it waits and how often it tries again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Sizes in bytes, times in seconds."""

    part: int = 32 << 20
    """What one range request asks for. Parts are taken in order, so that hashing can follow closely."""
    streams: int = 8
    """Parts of a blob that are fetched at once."""
    chunk: int = 64 << 20
    """What one request of an upload carries; many proxies allow no more than 100 MB."""
    connect: float = 10.0
    stall: float = 30.0
    """How long a connection may bring nothing before it is given up."""
    commit: float = 600.0
    """How long a registry may take to verify what was uploaded."""
    attempts: int = 6
    """Failures in a row, without one byte of progress between them, that end a transfer."""
    back_off: float = 1.0
    """The wait after the first failure; it doubles with each, up to `longest`."""
    longest: float = 30.0

    def wait(self, failures: int) -> float:
        """How long to wait after the last of so many failures in a row."""
        return min(self.longest, self.back_off * 2 ** (failures - 1))


USUAL = Pace()
