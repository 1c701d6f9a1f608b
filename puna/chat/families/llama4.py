"""Llama 4: `[f(k="v"), …]`, perhaps in `<|python_start|>…<|python_end|>`, or JSON as Llama 3 writes it.

Sources: Meta's prompt format page for Llama 4; vLLM's llama4_pythonic tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names, objects
from puna.chat.grammars.python_calls import closed_keywords, python_call
from puna.chat.grammars.rules import literal
from puna.chat.parsing import Tagged
from puna.chat.parsing.calls import python_or_json_calls

from .llama3 import LENIENT, bare

_START, _END = "<|python_start|>", "<|python_end|>"


_FORMAT = Tagged(
    calls={_START: python_or_json_calls(_END)},
    bare=bare,
    lenient=LENIENT,
    special=frozenset({_START, _END}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    call = python_call(rules, functions)
    more = f' (GAP "," GAP {call})*' if parallel else ""
    end = f'{more} GAP "]"'
    one = objects.call(rules, functions, keys=("parameters", "arguments"))
    marked = rules.any_of("calls", [f'"[" GAP {call}{end}', one])
    heads = [
        rules.head('BLANK "[" GAP ' + literal(f"{one.name}(")) + " " + closed_keywords(rules, one)
        for one in functions
    ]
    bare = rules.any_of("listed", heads)
    return Calls(
        {_START: f"GAP {marked} (GAP {rules.marker(_END)})?"},
        rules.any_of("bare", [f"{bare}{end}", objects.bare(rules, functions, parallel=parallel)]),
        rules.any_of(
            "alone", [f'GAP "[" GAP {call}{end}', objects.alone(rules, functions, parallel=parallel)]
        ),
    )


FAMILY = Family(
    variants=(Variant("llama4", tools=True),),
    evidence=(Evidence(("<|header_start|>",), EvidenceRank.TURNS),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IDENTIFIER),
)
