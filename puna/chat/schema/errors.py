"""Errors in schemas."""

from __future__ import annotations

from puna.errors import BadRequest


class UnsupportedKeyword(BadRequest):
    """No grammar supports `keyword` here."""

    def __init__(self, keyword: str, why: str) -> None:
        super().__init__(f"invalid JSON schema in format: {keyword} is not supported: {why}", "schema")
        self.keyword = keyword


def invalid(problem: str) -> BadRequest:
    """The error for a schema that is wrong or cannot be a grammar."""
    return BadRequest(f"invalid JSON schema in format: {problem}", "schema")
