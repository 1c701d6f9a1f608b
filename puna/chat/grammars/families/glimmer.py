"""Glimmer: messages to recipients, calls with parameters in tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Held, content
from puna.chat.grammars.rules import Rules, literal, literals
from puna.chat.grammars.schemas import Function
from puna.types import Grammar

from .invoked import invoked

_CALLS, _CALLS_END = "<atem:function_calls>", "</atem:function_calls>"
_START, _MESSAGE, _ENDS = "<|start|>", "<|message|>", ("<|eom|>", "<|eot|>")


def glimmer(held: Held) -> Grammar | None:
    if not held.functions and held.schema is None:
        return None
    rules = Rules()
    calls = ""
    if held.functions:
        all_of_them = invoked(
            rules,
            held.functions,
            held.parallel,
            close=_CALLS_END,
            outer=lambda terminal: rules.head(f"{terminal} {literal(_CALLS_END)}"),
            last=literal(_CALLS_END),
            prefix="atem:",
        )
        calls = rules.rule("calls", f"GAP {all_of_them}")
    if held.schema is None and not held.required:
        return _free(rules, held, calls)

    message = rules.marker(_MESSAGE)
    apart = rules.without(_START, "<|eot|>", _CALLS)
    goals: list[str] = []
    if held.schema is not None and not held.required:
        goals.append(f'"to=user" {message} {content(rules, held.schema)}')
    if calls:
        goals.append(f'"to=" {_names(held.functions)} {message} GAP {rules.marker(_CALLS)} {calls}')
    next_one = f'GAP {rules.marker(_START)} "assistant" GAP'
    thought = f'"to=self" {message} {rules.until("<|eom|>", apart)} {next_one}'
    return rules.grammar(f"GAP ({thought})* ({' | '.join(goals)})")


def _free(rules: Rules, held: Held, calls: str) -> Grammar:
    """Messages of any text; one to a tool is a call, and one that begins as a call is nothing else."""
    boundaries = literals((_START, *_ENDS))
    text = rules.terminal("APART", f"ANY & ~(ANY {boundaries} ANY)")
    plain = rules.terminal("PLAIN", f"{text} & ~(BLANK {literal(_CALLS)} ANY)")
    bare = rules.terminal("BARE", f"{plain} & ~(ANY {literal(_MESSAGE)} ANY)")
    tool = rules.terminal("TOOL", f'BLANK "to=" {_names(held.functions)} BLANK')
    self = rules.terminal("SELF", 'BLANK "to=self" BLANK')
    other = rules.terminal("OTHER", f"{bare} & ~({tool}) & ~({self})")

    called = f"{rules.until(_CALLS, 'BLANK')} {calls}"
    ended = f"GAP ({' | '.join(map(rules.marker, _ENDS))})"
    next_one = f'{rules.until(_START, "GAP")} "assistant"'
    call = rules.rule("call", f"{rules.until(_MESSAGE, tool)} {called}")
    alone = rules.rule("alone", f"{rules.until(_MESSAGE, other)}? {called}")
    heads = [(rules.until(_MESSAGE, self), text), (rules.until(_MESSAGE, other), plain), ("", bare)]
    open_ended = [f"{head} {body}" for head, body in heads]
    closed = [f"{head} {rules.until(end, body)}" for head, body in heads for end in _ENDS]
    interrupted = [f'{head} {rules.until(_START, body)} "assistant"' for head, body in heads]

    message = rules.any_of("message", closed)
    following = f"{message} {next_one} | {rules.any_of('interrupted', interrupted)}"
    if held.parallel:
        following += f" | ({call} | {alone}) ({ended})? {next_one}"
    last = rules.any_of("last", [*open_ended, message, f"({call} | {alone}) ({ended})?"])
    return rules.grammar(f"({next_one})? ({following})* {last}")


def _names(functions: list[Function]) -> str:
    """The functions as recipients, their namespace before them or not."""
    return literals(
        name for one in functions for name in (one.name, f"{one.name.partition('.')[0]}.{one.name}")
    )
