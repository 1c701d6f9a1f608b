"""GLM's calls: the function's name, then keys and values in tags."""

from __future__ import annotations

from puna.chat.parsing.keyed import Keyed

from . import names
from .answer import Calls
from .enclosed import KeyTags
from .functions import ToolFunction
from .rules import Rules, literal
from .texts import Arguments


def keyed_notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    """A call in `<tool_call>`, with arguments by its schema."""
    tags = Keyed()
    return Calls({tags.open: f"GAP {keyed_call(rules, functions, tags)}"} if functions else {})


def keyed_call(rules: Rules, functions: list[ToolFunction], tags: Keyed) -> str:
    """A call from its function's name to its closing tag."""
    enclosed = KeyTags(rules, tags, writable=names.IN_TAGS_WITH_SPACES)
    separator = f"{rules.marker(tags.separator)} " if tags.separator else ""
    bodies = [
        f"{literal(one.name)} {separator}{Arguments(rules, one, enclosed, tags.end).call()}"
        for one in functions
    ]
    return rules.any_of("function", bodies)
