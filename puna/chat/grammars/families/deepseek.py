"""DeepSeek and Cogito: a name and JSON arguments in two pairs of tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function

_CALLS, _CALLS_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_CALL, _CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
_SEPARATOR = "<｜tool▁sep｜>"


def deepseek(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    separator = rules.marker(_SEPARATOR)
    bodies: list[str] = []
    for function in functions:
        name, given = literal(function.name), arguments(rules, function)
        bodies.append(f"{name} {separator} GAP {given}")
        bodies.append(f'"function" {separator} GAP {name} GAP "```json" GAP {given} GAP "```"')
    if not bodies:
        return Calls({})
    call = f"{rules.any_of('function', bodies)} GAP {rules.marker(_CALL_END)}"
    more = f"(GAP {rules.marker(_CALL)} {call})*" if parallel else ""
    calls = f"{call} {more} GAP {rules.marker(_CALLS_END)}"
    return Calls(
        {
            _CALLS: f"GAP {rules.marker(_CALL)} {calls}",
            _CALL: f"{call} {more} (GAP {rules.marker(_CALLS_END)})?",
        }
    )
