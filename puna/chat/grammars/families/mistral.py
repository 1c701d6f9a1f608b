"""Mistral: a JSON list, or a name and its arguments."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import arguments, call, listed
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function


def mistral(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    objects = listed(call(rules, functions, before="id", after="id"), parallel=parallel)
    number = f"({rules.marker('[CALL_ID]')} /[A-Za-z0-9]{{1,16}}/)?"
    named = [
        f"{literal(function.name)} {number} {rules.marker('[ARGS]')} SPACE {arguments(rules, function)}"
        for function in functions
    ]
    return Calls({"[TOOL_CALLS]": f"SPACE {rules.any_of('calls', [objects, *named])}"})
