"""Qwen3-Coder, Qwen 3.5, Nemotron and Seed-OSS: parameters as text in tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.grammars.texts import Texts
from puna.chat.parsing.families.seed_oss import CLOSE, OPEN

_WRITABLE = r"[^<>\s]+"


def qwen3_coder(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    bodies = [_body(rules, function) for function in functions]
    if not bodies:
        return Calls({})
    body = rules.any_of("function", bodies)
    return Calls(
        {
            "<tool_call>": f'GAP "<function=" {body} GAP {rules.marker("</tool_call>")}',
            "<function=": f"{body} (GAP {rules.marker('</tool_call>')})?",
        }
    )


def seed_oss(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    bodies = [_body(rules, function, pad="") for function in functions]
    if not bodies:
        return Calls({})
    body = rules.any_of("function", bodies)
    return Calls({OPEN: f'GAP "<function=" {body} GAP {rules.marker(CLOSE)}'})


def _body(rules: Rules, function: Function, pad: str = "\n") -> str:
    """From behind `<function=` on."""
    texts = Texts(rules, function, close="</parameter>", pad=pad)
    parameters = texts.parameters(
        lambda name, value: f"GAP {literal(f'<parameter={name}>')} {value}",
        writable=r"[^<>\s](?:[^<>\n]*[^<>\s])?",
    )
    return f'{literal(function.name + ">")} {parameters} GAP "</function>"'
