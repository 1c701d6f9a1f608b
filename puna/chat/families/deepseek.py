"""DeepSeek and Cogito: `<｜tool▁call▁begin｜>name<｜tool▁sep｜>{…}<｜tool▁call▁end｜>` in V3.1.

R1, V3 and Cogito put the type `function` before the separator, and after it the name and a fenced block of
JSON. All calls are within `<｜tool▁calls▁begin｜>…<｜tool▁calls▁end｜>`. R1's distilled models misspell the
first of these tags.

Sources: Ollama model/parsers/deepseek3.go and cogito.go; the chat templates of deepseek-ai's models.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import literal
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import after
from puna.chat.parsing.values import json_object
from puna.chat.renderers import Renderer
from puna.chat.renderers.cogito import cogito
from puna.chat.renderers.deepseek3 import deepseek3

_CALLS = "<｜tool▁calls▁begin｜>"
_CALLS_END = "<｜tool▁calls▁end｜>"
_CALL = "<｜tool▁call▁begin｜>"
_CALL_END = "<｜tool▁call▁end｜>"
_SEPARATOR = "<｜tool▁sep｜>"
_MISSPELLED = (
    "<｜tool_calls_begin｜>",
    "<｜tool calls begin｜>",
    r"<｜tool\_calls\_begin｜>",
    "<｜tool▁calls｜>",
)
_OUTPUTS = tuple(f"<｜tool▁output{plural}▁{end}｜>" for plural in ("", "s") for end in ("begin", "end"))


def _call(source: Scanner, tools: Tools) -> Step[None]:
    while True:
        name = yield from source.word(r"\w.\-:/")
        yield from source.expect(_SEPARATOR)
        if name == "function":
            yield from source.blank()
            if (yield from source.ahead()) != "{":
                name = yield from source.word(r"\w.\-:/")
        yield from source.blank()
        fence = yield from source.choice("```json", "```")
        yield from source.blank()
        source.called(name, json_object((yield from source.bracketed())))
        if fence:
            yield from source.closer("```")
        yield from source.closer(_CALL_END)
        yield from source.blank()
        if not (yield from source.choice(_CALL)):
            break
    yield from source.closer(_CALLS_END)


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={_CALLS: after(_CALL, _call), _CALL: _call},
    lenient=dict.fromkeys(_MISSPELLED, after(_CALL, _call)),
    dropped=_OUTPUTS,
    special=frozenset({"<think>", "</think>", _CALLS, _CALLS_END, _CALL, _CALL_END, _SEPARATOR, *_OUTPUTS}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
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


FAMILY = Family(
    variants=(
        Variant("deepseek", tools=True, thinks=True),
        Variant("deepseek3", tools=True, thinks=True),
        Variant("deepseek3.1", tools=True, thinks=True, renderer=Renderer(deepseek3, "tools", "think")),
        Variant("cogito", tools=True, thinks=True, renderer=Renderer(cogito, "tools", "think")),
    ),
    evidence=(Evidence((_CALLS,)), Evidence(("<｜Assistant｜>",), EvidenceRank.TURNS)),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.PATH),
)
