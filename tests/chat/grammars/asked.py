"""Grammars as requests ask for them."""

from __future__ import annotations

from typing import Any

from puna.chat import Exchange
from puna.types import Grammar, Message
from tests.chat.families import family as family_called

_DEFAULTS: dict[str, Any] = {"prompt": "", "last": Message(role="user"), "tools": [], "think": True}


def grammar(family: str = "hermes", template: str = "", **asked: Any) -> Grammar | None:
    """What constrains the answer to a request that says `asked`."""
    return Exchange(family_called(family, template), **(_DEFAULTS | asked)).grammar()


def held(family: str = "hermes", **asked: Any) -> Grammar:
    """The same of a request whose answer is not free."""
    made = grammar(family, **asked)
    assert made
    return made
