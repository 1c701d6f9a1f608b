"""Mistral: a JSON list, or a name and its arguments."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import arguments, call, listed
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function


def mistral(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    one = call(rules, functions, before="id", after="id", turned=True)
    objects = listed(one, parallel=parallel)
    given, number = rules.marker("[ARGS]"), f"{rules.marker('[CALL_ID]')} /[A-Za-z0-9]{{1,16}}/"
    named = [
        f"{literal(function.name)} ({number} {given} | ({given})?) SPACE {arguments(rules, function)}"
        for function in functions
    ]
    return Calls({"[TOOL_CALLS]": f"GAP {rules.any_of('calls', [objects, *named])}"})
