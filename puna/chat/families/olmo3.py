"""OLMo 3: `<function_calls>` and on each line a call as Python writes it, `f(k="v")`.

The prompts of its thinking models open `<think>`.

Sources: Ollama model/parsers/olmo3.go and olmo3_think.go; the chat templates of allenai's models.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.python_calls import python_call
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import python_calls
from puna.chat.renderers import Renderer
from puna.chat.renderers.olmo3 import olmo3, olmo3_1, olmo3_32b_think, olmo3_think

_OPEN, _CLOSE = "<function_calls>", "</function_calls>"

_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={_OPEN: python_calls(_CLOSE)},
    special=frozenset({_OPEN, _CLOSE, "<think>", "</think>"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    call = python_call(rules, functions)
    more = f" (GAP {call})*" if parallel else ""
    return Calls({_OPEN: f"GAP {call}{more} GAP {rules.marker(_CLOSE)}"})


FAMILY = Family(
    variants=(
        Variant("olmo3", tools=True, renderer=Renderer(olmo3, "tools")),
        Variant("olmo3.1", tools=True, renderer=Renderer(olmo3_1, "tools")),
        Variant("olmo3-think", thinks=True, renderer=Renderer(olmo3_think, "think")),
        Variant("olmo3-32b-think", thinks=True, renderer=Renderer(olmo3_32b_think, "think")),
    ),
    evidence=(Evidence((_OPEN,), EvidenceRank.ADAPTED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IDENTIFIER),
)
