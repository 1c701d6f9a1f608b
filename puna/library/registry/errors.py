"""What can go wrong on the way to a registry."""

from __future__ import annotations

from puna.errors import PunaError


class Unreachable(PunaError):
    """No connection to the host; worth another try only if there was one before."""


class Interrupted(PunaError):
    """A connection that ended or fell silent before its time; worth another try."""


class Silent(Interrupted):
    """A connection that brought nothing for as long as we wait."""


class RegistryRefused(PunaError):
    """An answer with an error status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in (408, 429) or self.code >= 500


def worth_another_try_at_once(error: Exception) -> bool:
    """For short requests, while somebody waits: what took long to fail is not tried again."""
    return worth_another_try(error) and not isinstance(error, Unreachable | Silent)


def worth_another_try(error: Exception) -> bool:
    return isinstance(error, Unreachable | Interrupted) or (
        isinstance(error, RegistryRefused) and error.passing
    )
