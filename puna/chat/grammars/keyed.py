"""GLM's calls: the function's name, then keys and values in tags."""

from __future__ import annotations

from . import names
from .answer import Calls
from .enclosed import KeyTags
from .functions import ToolFunction
from .rules import Rules, literal
from .texts import Arguments

_END = "</tool_call>"


def keyed_notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    """After the marker the function's name, then arguments by its schema."""
    enclosed = KeyTags(
        rules,
        ("<arg_key>", "</arg_key>"),
        ("<arg_value>", "</arg_value>"),
        _END,
        writable=names.IN_TAGS_WITH_SPACES,
    )
    bodies = [f"{literal(one.name)} {Arguments(rules, one, enclosed, _END).call()}" for one in functions]
    return Calls({"<tool_call>": f"GAP {rules.any_of('function', bodies)}"} if bodies else {})
