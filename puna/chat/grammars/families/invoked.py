"""Calls in XML: `<invoke name="f">` and its parameters, as MiniMax and Glimmer write them."""

from __future__ import annotations

from collections.abc import Callable

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.enclosed import Tagged
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.grammars.texts import Texts
from puna.chat.parsing.families.minimax import CLOSE, OPEN
from puna.chat.parsing.invoked import elements


def invoked(
    rules: Rules,
    functions: list[Function],
    parallel: bool,
    *,
    close: str,
    outer: Callable[[str], str],
    last: str,
    prefix: str = "",
) -> str:
    """Calls, whose tags' names begin with `prefix`, up to the tag `close`.

    `last` is that tag as a rule; `outer` writes it behind a terminal.
    """
    enclosed = Tagged(
        rules,
        elements(close, prefix),
        written=lambda name: f' name="{name}">',
        outer=outer,
        writable=r'[^"<>\s](?:[^"<>\n]*[^"<>\s])?',
    )
    calls = rules.reserve("invoked")
    tail = rules.rule("tail", f"GAP {last} | GAP {calls}" if parallel else f"GAP {last}")
    bodies = [
        f"""{literal(f'<{prefix}invoke name="{one.name}">')} {Texts(rules, one, enclosed, tail).call()}"""
        for one in functions
    ]
    rules.define(calls, " | ".join(bodies))
    return calls


def minimax(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    if not functions:
        return Calls({})
    calls = invoked(
        rules,
        functions,
        parallel,
        close=CLOSE,
        outer=lambda terminal: rules.until(CLOSE, terminal),
        last=rules.marker(CLOSE),
    )
    return Calls({OPEN: f"GAP {calls}"})
