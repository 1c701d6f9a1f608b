"""Calls as `<function=f>`, with parameters as text in tags."""

from __future__ import annotations

from puna.chat.parsing.elements import Elements
from puna.chat.parsing.xml_functions import FUNCTION, TOOL_CALL

from . import names
from .answer import Calls
from .enclosed import ParameterTags
from .functions import ToolFunction
from .rules import Rules, literal
from .texts import Arguments


def tagged_functions(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    """Calls in `<tool_call>`, or without that tag."""
    call = xml_functions(rules, functions, TOOL_CALL)
    return Calls({"<tool_call>": f"GAP {literal(FUNCTION)} {call}", FUNCTION: call})


def xml_functions(rules: Rules, functions: list[ToolFunction], written: Elements) -> str:
    """Calls after `<function=` to the outer tag."""
    outer = written.outer
    enclosed = ParameterTags(
        rules,
        written,
        written=lambda name: f"{name}>",
        outer=lambda terminal: rules.until(outer, terminal),
        writable=names.IN_TAGS_WITH_SPACES,
    )
    tail = f"GAP {rules.marker(outer)}"
    return rules.any_of(
        "function",
        [f"{literal(one.name + '>')} {Arguments(rules, one, enclosed, tail).call()}" for one in functions],
    )
