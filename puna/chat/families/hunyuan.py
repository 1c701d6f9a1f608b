"""Hunyuan A13B and Jamba: `<tool_calls>[{"name": …, "arguments": {…}}, …]</tool_calls>`.

Hunyuan's answer is in `<answer>`. MiniMax-M1 writes the objects without a list, one a line.

Sources: the chat templates of tencent's, ai21labs' and MiniMaxAI's models; vLLM's hunyuan_a13b, jamba and
minimax tool parsers.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call, call_list
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.lenient import LENIENT

OPEN, CLOSE = "<tool_calls>", "</tool_calls>"

_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={OPEN: json_calls(CLOSE)},
    bare=bare_objects,
    lenient=LENIENT,
    dropped=("<answer>", "</answer>"),
    spaced=True,
    special=frozenset({OPEN, CLOSE, "<think>", "</think>", "<answer>", "</answer>"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    one = call(rules, functions)
    lines = f"{one} (GAP {one})*" if parallel else one
    body = rules.any_of("calls", [call_list(one, parallel=parallel), lines])
    return Calls({OPEN: f"GAP {body} GAP {rules.marker(CLOSE)}"})


FAMILY = Family(
    variants=(Variant("hunyuan", tools=True, thinks=True),),
    evidence=(Evidence((OPEN,), EvidenceRank.ADAPTED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_JSON),
)
