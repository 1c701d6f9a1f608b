"""Qwen3-Coder, Qwen 3.5, Nemotron and Seed-OSS: parameters as text in tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.enclosed import Tagged
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.grammars.texts import Texts
from puna.chat.parsing.elements import Elements
from puna.chat.parsing.families.qwen3_coder import FUNCTION, TOOL_CALL
from puna.chat.parsing.families.seed_oss import OPEN, WRITTEN


def qwen3_coder(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    if not functions:
        return Calls({})
    call = _call(rules, functions, TOOL_CALL)
    return Calls({"<tool_call>": f"GAP {literal(FUNCTION)} {call}", FUNCTION: call})


def seed_oss(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    if not functions:
        return Calls({})
    return Calls({OPEN: f"GAP {literal(FUNCTION)} {_call(rules, functions, WRITTEN)}"})


def _call(rules: Rules, functions: list[Function], written: Elements) -> str:
    """From behind `<function=` to the outer tag."""
    outer = written.followers[0]
    enclosed = Tagged(
        rules,
        written,
        written=lambda name: f"{name}>",
        outer=lambda terminal: rules.until(outer, terminal),
        writable=r"[^<>\s](?:[^<>\n]*[^<>\s])?",
    )
    tail = f"GAP {rules.marker(outer)}"
    return rules.any_of(
        "function",
        [f"{literal(one.name + '>')} {Texts(rules, one, enclosed, tail).call()}" for one in functions],
    )
