"""InternLM 2 and 3: `<|action_start|><|plugin|>{"name": …, "parameters": {…}}<|action_end|>`.

Sources: the chat templates of internlm's models; vLLM's internlm2 tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import bare_objects, objects
from puna.chat.parsing.lenient import LENIENT

OPEN, PLUGIN, CLOSE = "<|action_start|>", "<|plugin|>", "<|action_end|>"


def _call(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect(PLUGIN)
    yield from objects(source)
    yield from source.closer(CLOSE)


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={OPEN: _call},
    bare=bare_objects,
    lenient=LENIENT,
    special=frozenset({OPEN, PLUGIN, CLOSE, "<think>", "</think>"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    one = call(rules, functions, keys=("parameters", "arguments"))
    plugin, close = rules.marker(PLUGIN), rules.marker(CLOSE)
    return Calls({OPEN: f"GAP {plugin} GAP {one} GAP {close}"})


FAMILY = Family(
    variants=(Variant("internlm", tools=True, thinks=True),),
    evidence=(Evidence((OPEN, PLUGIN)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_JSON),
)
