"""Grammars as requests ask for them."""

from __future__ import annotations

from typing import Any

from puna.chat import constraint
from puna.types import Grammar, Message

_DEFAULTS: dict[str, Any] = {
    "tools": [],
    "choice": "auto",
    "name": "",
    "parallel": True,
    "schema": None,
    "think": None,
    "prompt": "",
    "last": Message(role="user"),
}


def grammar(family: str = "hermes", **asked: Any) -> Grammar | None:
    """What the answer to a request that says `asked` is held to."""
    return constraint(family, **(_DEFAULTS | asked))


def held(family: str = "hermes", **asked: Any) -> Grammar:
    """The same of a request whose answer is not free."""
    made = grammar(family, **asked)
    assert made
    return made
