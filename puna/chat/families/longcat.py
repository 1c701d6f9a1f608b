"""LongCat: GLM's calls with `longcat_` before each tag's name, or JSON in `<longcat_tool_call>`.

Sources: the chat templates of meituan-longcat's models; vLLM's and SGLang's longcat tool parsers.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.keyed import keyed_call
from puna.chat.grammars.objects import call
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.keyed import Keyed

_TAGS = Keyed(prefix="longcat_")
_THINKING = ThinkingTags("<longcat_think>", "</longcat_think>", calls_end_it=True)

_FORMAT = Tagged(
    tags=_THINKING,
    calls={_TAGS.open: _TAGS.calls()},
    special=_TAGS.special | {_THINKING.open, _THINKING.close},
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    in_json = f"{call(rules, functions)} SPACE {rules.marker(_TAGS.end)}"
    return Calls({_TAGS.open: f"GAP ({keyed_call(rules, functions, _TAGS)} | {in_json})"})


FAMILY = Family(
    variants=(Variant("longcat", tools=True, thinks=True),),
    evidence=(Evidence((_TAGS.open,)), Evidence((_THINKING.open,), EvidenceRank.REASONING)),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IDENTIFIER),
)
