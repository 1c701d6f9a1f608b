"""Calls in XML, for MiniMax and Glimmer: `<invoke name="f">` and its parameters."""

from __future__ import annotations

from collections.abc import Callable

from puna.chat.parsing.invoked import elements

from . import names
from .enclosed import ParameterTags
from .functions import ToolFunction
from .rules import Rules, literal
from .texts import Arguments


def invocation_rules(
    rules: Rules,
    functions: list[ToolFunction],
    parallel: bool,
    *,
    close: str,
    outer: Callable[[str], str],
    last: str,
    prefix: str = "",
) -> str:
    """Calls with `prefix` in their tags' names, up to the tag `close`.

    `last` is that tag as a rule; `outer` is for use after a terminal.
    """
    enclosed = ParameterTags(
        rules,
        elements(close, prefix),
        written=lambda name: f' name="{name}">',
        outer=outer,
        writable=names.IN_ATTRIBUTE,
    )
    calls = rules.reserve("invoked")
    tail = rules.rule("tail", f"GAP {last} | GAP {calls}" if parallel else f"GAP {last}")
    bodies = [
        f"""{literal(f'<{prefix}invoke name="{one.name}">')} {Arguments(rules, one, enclosed, tail).call()}"""
        for one in functions
    ]
    rules.define(calls, " | ".join(bodies))
    return calls
