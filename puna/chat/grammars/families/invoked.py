"""Calls in XML: `<invoke name="f">` and its parameters, as MiniMax and Glimmer write them."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.grammars.texts import Texts
from puna.chat.parsing.families.minimax import CLOSE, OPEN


def invoked(rules: Rules, function: Function, prefix: str = "") -> str:
    """One call, whose tags' names begin with `prefix`."""
    texts = Texts(rules, function, close=f"</{prefix}parameter>")
    parameters = texts.parameters(
        lambda name, value: f"""GAP {literal(f'<{prefix}parameter name="{name}">')} {value}""",
        writable=r'[^"<>\s](?:[^"<>\n]*[^"<>\s])?',
    )
    opened = literal(f'<{prefix}invoke name="{function.name}">')
    return f"{opened} {parameters} GAP {literal(f'</{prefix}invoke>')}"


def minimax(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    call = rules.any_of("invoked", [invoked(rules, function) for function in functions])
    more = f" (GAP {call})*" if parallel else ""
    return Calls({OPEN: f"GAP {call}{more} GAP {rules.marker(CLOSE)}"})
