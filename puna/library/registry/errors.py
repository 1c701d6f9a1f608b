"""Errors of registry requests."""

from __future__ import annotations

from puna.errors import PunaError


class Unreachable(PunaError):
    """The host cannot be reached; retried only during a transfer."""


class Interrupted(PunaError):
    """The connection broke or stalled; retried."""


class Silent(Interrupted):
    """The connection timed out."""


class RegistryRefused(PunaError):
    """The answer has an error status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in (408, 429) or self.code >= 500


def worth_another_try_at_once(error: Exception) -> bool:
    """Whether to retry a short request: not after an error that took long."""
    return worth_another_try(error) and not isinstance(error, Unreachable | Silent)


def worth_another_try(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, Unreachable | Interrupted) or (
        isinstance(error, RegistryRefused) and error.passing
    )
