"""Errors that only the Responses API has, in the shape of `puna.server.openai.errors`."""

from __future__ import annotations

from puna.errors import BadRequest, PunaError


def invalid(field: str, reason: str, code: str = "") -> BadRequest:
    """An error for `field`, whose message begins with it."""
    return BadRequest(f"{field}: {reason}", field, code)


class Unknown(PunaError):
    """A response that is not stored."""

    status = 404

    def __init__(self, id: str) -> None:
        super().__init__(f"Response with id '{id}' not found.")


class UnknownItem(BadRequest):
    """An item of no stored response."""

    status = 404
    code = "item_not_found"

    def __init__(self, field: str, id: str) -> None:
        super().__init__(f"Item with id '{id}' not found.", field)


class UnknownPrevious(BadRequest):
    """The previous response is not stored."""

    code = "previous_response_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"Previous response with id '{id}' not found.", "previous_response_id")
