"""Llama 3: a bare JSON object, one behind `<|python_tag|>`, or `<function=f>{…}`."""

from __future__ import annotations

import re

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import alone, arguments, bare, call
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function

from .python_calls import keywords


def llama3(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    one = call(rules, functions, keys=("parameters", "arguments"))
    objects = f'{one} (GAP ";" GAP {one})*' if parallel else one
    coded = [
        f"{literal(function.name + '.call')} {keywords(rules, function)}"
        for function in functions
        if re.fullmatch(r"[\w.]+", function.name)
    ]
    tagged = [
        f'{literal(function.name + ">")} SPACE {arguments(rules, function)} SPACE "</function>"'
        for function in functions
    ]
    marked = {
        "<|python_tag|>": f"GAP {rules.any_of('calls', [objects, *coded])}",
        "<function=": rules.any_of("function", tagged),
    }
    return Calls(
        marked, bare(rules, functions, parallel=parallel), alone(rules, functions, parallel=parallel)
    )
