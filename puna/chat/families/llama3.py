"""Llama 3.1 to 3.3: a bare `{"name": …, "parameters": {…}}`.

Other notations: the object or `tool.call(k="v")` after `<|python_tag|>`, `<function=f>{…}</function>`, and a
list `[f(k="v"), …]`.

Sources: Meta's prompt format pages for Llama 3.1 and 3.2; llama.cpp common/chat.cpp (Llama 3.x).
"""

from __future__ import annotations

import re

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import alone, arguments, call
from puna.chat.grammars.objects import bare as bare_call
from puna.chat.grammars.python_calls import keywords as call_keywords
from puna.chat.grammars.rules import literal
from puna.chat.parsing import CallReader, Malformed, Scanner, Step, Tagged, Tools
from puna.chat.parsing.calls import after_brace, bare_objects, bare_python_calls, keywords, objects
from puna.chat.parsing.lenient import BARE
from puna.chat.parsing.values import json_object


def _after_python_tag(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) == "{":
        yield from objects(source)
        return
    name = yield from source.word(r"\w.")
    if not name.endswith(".call"):
        raise Malformed  # code for an interpreter
    source.called(name.removesuffix(".call"), (yield from keywords(source)))


def _function(source: Scanner, tools: Tools) -> Step[None]:
    name = yield from source.word(r"^<>\s")
    yield from source.expect(">")
    yield from source.blank()
    source.called(name, json_object((yield from source.bracketed())))
    yield from source.closer("</function>")


def bare(source: Scanner, tools: Tools) -> Step[None]:
    """Reads objects, in a list or not, or a list of calls as Python writes them."""
    if (yield from source.choice("[")):
        yield from _in_brackets(source, tools)
    else:
        yield from bare_objects(source, tools)


def _in_brackets(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.choice("{")):
        yield from after_brace(source, tools, source.called, "[")
    else:
        yield from bare_python_calls(source, tools)


_LISTS: dict[str, CallReader] = {" [": _in_brackets, "\n[": _in_brackets}
LENIENT = {marker: reading for marker, reading in BARE.items() if "[" not in marker} | _LISTS

_FORMAT = Tagged(
    calls={"<|python_tag|>": _after_python_tag, "<function=": _function},
    bare=bare,
    lenient=LENIENT,
    special=frozenset({"<|python_tag|>"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    one = call(rules, functions, keys=("parameters", "arguments"))
    several = f'{one} (GAP ";" GAP {one})*' if parallel else one
    coded = [
        f"{literal(function.name + '.call')} {call_keywords(rules, function)}"
        for function in functions
        if re.fullmatch(r"[\w.]+", function.name)
    ]
    tagged = [
        f'{literal(function.name + ">")} SPACE {arguments(rules, function)} SPACE "</function>"'
        for function in functions
    ]
    marked = {
        "<|python_tag|>": f"GAP {rules.any_of('calls', [several, *coded])}",
        "<function=": rules.any_of("function", tagged),
    }
    return Calls(
        marked, bare_call(rules, functions, parallel=parallel), alone(rules, functions, parallel=parallel)
    )


FAMILY = Family(
    variants=(Variant("llama3", tools=True),),
    evidence=(
        Evidence(("<|python_tag|>",), EvidenceRank.TURNS),
        Evidence(("<|start_header_id|>", '"parameters"'), EvidenceRank.TURNS),
        Evidence(("<|start_header_id|>", '"arguments"'), EvidenceRank.TURNS),
    ),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IDENTIFIER),
)
