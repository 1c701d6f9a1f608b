"""InternLM 2 and 3: `<|action_start|><|plugin|>{"name": …, "parameters": {…}}<|action_end|>`.

Sources: the chat templates of internlm's models; vLLM's internlm2 tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import after, bare_objects, json_calls
from puna.chat.parsing.lenient import LENIENT

OPEN, PLUGIN, CLOSE = "<|action_start|>", "<|plugin|>", "<|action_end|>"


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={OPEN: after(PLUGIN, json_calls(CLOSE))},
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
