"""What only the Responses API refuses. Its errors have the shape of `puna.server.openai.errors`."""

from __future__ import annotations

from puna.server.openai import errors
from puna.types import PunaError


class Invalid(errors.Invalid):
    """A field that is refused; the message begins with it."""

    def __init__(self, param: str, message: str, code: str = "invalid_value") -> None:
        super().__init__(param, f"{param}: {message}", code)


class Unknown(PunaError):
    """An answer that is not kept, or no more."""

    status = 404

    def __init__(self, id: str) -> None:
        super().__init__(f"Response with id '{id}' not found.")


class UnknownItem(errors.Invalid):
    """An item that is of no kept answer, or no more."""

    status = 404

    def __init__(self, param: str, id: str) -> None:
        super().__init__(param, f"Item with id '{id}' not found.", "item_not_found")


class UnknownPrevious(errors.Invalid):
    """The answer to go on from is not kept, or no more."""

    def __init__(self, id: str) -> None:
        message = f"Previous response with id '{id}' not found."
        super().__init__("previous_response_id", message, "previous_response_not_found")
