"""Models that no family fits: JSON objects behind the template's marker, or bare."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls, Notation
from puna.chat.grammars.objects import alone, bare, call, listed
from puna.chat.grammars.rules import Rules
from puna.chat.grammars.schemas import Function
from puna.chat.parsing.families.generic import closing
from puna.chat.parsing.tagged import Tagged


def generic(form: Tagged) -> Notation:
    def notation(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
        if not form.calls:
            return Calls(
                {}, bare(rules, functions, parallel=parallel), alone(rules, functions, parallel=parallel)
            )
        marker = next(iter(form.calls))
        one = call(rules, functions, keys=("arguments", "parameters"))
        close = closing(marker)
        body = rules.any_of("calls", [one, listed(one, parallel=parallel)])
        end = f" SPACE {rules.marker(close)}" if close else ""
        return Calls({marker: f"SPACE {body}{end}"})

    return notation
