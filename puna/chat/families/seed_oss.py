"""Seed-OSS: `<seed:tool_call><function=f><parameter=k>v</parameter></function></seed:tool_call>`.

Sources: the chat template of ByteDance-Seed's models; vLLM's seed_oss tool parser; llama.cpp
tests/test-chat.cpp.
"""

from __future__ import annotations

from functools import partial

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.rules import literal
from puna.chat.grammars.xml_functions import xml_functions
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import after
from puna.chat.parsing.xml_functions import FUNCTION, elements, xml_calls

OPEN, CLOSE = "<seed:tool_call>", "</seed:tool_call>"
_WRITTEN = elements(CLOSE)


_FORMAT = Tagged(
    tags=ThinkingTags("<seed:think>", "</seed:think>"),
    calls={OPEN: after(FUNCTION, partial(xml_calls, written=_WRITTEN))},
    special=frozenset({OPEN, CLOSE, "<seed:think>", "</seed:think>"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    return Calls({OPEN: f"GAP {literal(FUNCTION)} {xml_functions(rules, functions, _WRITTEN)}"})


FAMILY = Family(
    variants=(Variant("seed-oss", tools=True, thinks=True),),
    evidence=(Evidence((OPEN,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_TAGS),
)
