"""Errors of registry requests."""

from __future__ import annotations

from puna.errors import PunaError


class Unreachable(PunaError):
    """The host cannot be reached; retried only during a transfer."""


class Interrupted(PunaError):
    """The connection broke or stalled; retried."""


class Silent(Interrupted):
    """The connection timed out."""


LONGEST_WAIT = 300
"""Seconds. A registry that asks for a longer wait is not asked again."""


class RegistryRefused(PunaError):
    """The answer has an error status."""

    def __init__(self, code: int, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


def is_transient_and_fast(error: Exception) -> bool:
    """Whether to retry a short request at once; false after a timeout."""
    return is_transient(error) and not isinstance(error, Unreachable | Silent)


def is_transient(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, RegistryRefused):
        return (error.code in (408, 429) or error.code >= 500) and error.retry_after <= LONGEST_WAIT
    return isinstance(error, Unreachable | Interrupted)
