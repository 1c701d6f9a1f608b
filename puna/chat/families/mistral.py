"""Mistral, Ministral and Magistral: `[TOOL_CALLS]` and then calls.

Up to version 7 of their tokenizer the calls are a JSON list, later `name[ARGS]{…}`, optionally with an id:
`name[CALL_ID]id[ARGS]{…}`. Reasoning is in `[THINK]…[/THINK]`.

Sources: Ollama model/parsers/ministral.go; mistral-common's instruct tokenizers; vLLM's mistral tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import arguments, call, call_list
from puna.chat.grammars.rules import literal
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import bare_objects, objects
from puna.chat.parsing.lenient import BARE
from puna.chat.parsing.values import json_object
from puna.chat.renderers import Renderer
from puna.chat.renderers.ministral import ministral


def _calls(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) in ("[", "{"):
        yield from objects(source)
        yield from source.closer("[/TOOL_CALLS]")
        return
    name = yield from source.word(r"\w.\-:/")
    if (yield from source.choice("[CALL_ID]", "[ARGS]")) == "[CALL_ID]":
        yield from source.word(r"\w\-")
        yield from source.expect("[ARGS]")
    yield from source.blank()
    source.called(name, json_object((yield from source.bracketed())))


_FORMAT = Tagged(
    tags=ThinkingTags("[THINK]", "[/THINK]", anywhere=True),
    calls={"[TOOL_CALLS]": _calls},
    bare=bare_objects,
    lenient=BARE,
    special=frozenset({"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    one = call(rules, functions, before="id", after="id", either_order=True)
    several = call_list(one, parallel=parallel)
    given, number = rules.marker("[ARGS]"), f"{rules.marker('[CALL_ID]')} /[A-Za-z0-9]{{1,16}}/"
    named = [
        f"{literal(function.name)} ({number} {given} | ({given})?) SPACE {arguments(rules, function)}"
        for function in functions
    ]
    return Calls({"[TOOL_CALLS]": f"GAP {rules.any_of('calls', [several, *named])}"})


FAMILY = Family(
    variants=(
        Variant("mistral", tools=True),
        Variant("ministral", tools=True, renderer=Renderer(ministral, "tools", "think", "images")),
    ),
    evidence=(Evidence(("[TOOL_CALLS]",)), Evidence(("[THINK]",), EvidenceRank.REASONING)),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.PATH),
)
