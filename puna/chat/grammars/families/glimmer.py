"""Glimmer: messages to recipients, calls with parameters in tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Held, content
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.grammars.texts import Texts
from puna.types import Grammar

_CALLS = "<atem:function_calls>"
_PARAMETER = '<atem:parameter name="%s">'


def glimmer(held: Held) -> Grammar | None:
    if not held.functions and held.schema is None:
        return None
    rules = Rules()
    calls = ""
    if held.functions:
        invoked = rules.any_of("invoked", [_invoked(rules, function) for function in held.functions])
        more = f" (GAP {invoked})*" if held.parallel else ""
        calls = f'GAP {invoked}{more} GAP "</atem:function_calls>"'
    if held.schema is None and not held.required:
        begun = f"{rules.until(_CALLS)} {calls}"
        return rules.grammar(f"({begun})* text" if held.parallel else f"{begun} | text")

    message = rules.marker("<|message|>")
    apart = rules.without("<|start|>", "<|eot|>", _CALLS)
    goals: list[str] = []
    if held.schema is not None and not held.required:
        goals.append(f'"to=user" {message} {content(rules, held.schema)}')
    if calls:
        goals.append(f'"to=" {_names(held.functions)} {message} GAP {rules.marker(_CALLS)} {calls}')
    next_one = f'GAP {rules.marker("<|start|>")} "assistant" GAP'
    thought = f'"to=self" {message} {rules.until("<|eom|>", apart)} {next_one}'
    return rules.grammar(f"GAP ({thought})* ({' | '.join(goals)})")


def _invoked(rules: Rules, function: Function) -> str:
    texts = Texts(rules, function, close="</atem:parameter>")
    parameters = texts.parameters(
        lambda name, value: f"GAP {literal(_PARAMETER % name)} {value}", writable=r'[^"\n]+'
    )
    opened = literal(f'<atem:invoke name="{function.name}">')
    return f'{opened} {parameters} GAP "</atem:invoke>"'


def _names(functions: list[Function]) -> str:
    return f"({' | '.join(literal(function.name) for function in functions)})"
