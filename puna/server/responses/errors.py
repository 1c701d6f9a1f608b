"""What only the Responses API refuses. Its errors have the shape of `puna.server.openai.errors`."""

from __future__ import annotations

from puna.errors import BadRequest, PunaError


def invalid(field: str, reason: str, code: str = "") -> BadRequest:
    """A field that is refused; the message begins with it."""
    return BadRequest(f"{field}: {reason}", field, code)


class Unknown(PunaError):
    """An answer that is not kept, or no more."""

    status = 404

    def __init__(self, id: str) -> None:
        super().__init__(f"Response with id '{id}' not found.")


class UnknownItem(BadRequest):
    """An item that is of no kept answer, or no more."""

    status = 404
    code = "item_not_found"

    def __init__(self, field: str, id: str) -> None:
        super().__init__(f"Item with id '{id}' not found.", field)


class UnknownPrevious(BadRequest):
    """The answer to go on from is not kept, or no more."""

    code = "previous_response_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"Previous response with id '{id}' not found.", "previous_response_id")
