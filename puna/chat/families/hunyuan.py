"""Hunyuan A13B and Jamba: `<tool_calls>[{"name": …, "arguments": {…}}, …]</tool_calls>`.

Hunyuan's answer is in `<answer>`.

Sources: the chat templates of tencent's and ai21labs' models; vLLM's hunyuan_a13b and jamba tool parsers.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.objects import list_between
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

FAMILY = Family(
    variants=(Variant("hunyuan", tools=True, thinks=True),),
    evidence=(Evidence((OPEN,), EvidenceRank.ADAPTED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, list_between(OPEN, CLOSE), names.IN_JSON),
)
