"""MiniMax-M2: `<invoke name="f"><parameter name="k">v</parameter></invoke>` in `<minimax:tool_call>`.

Its prompts open `<think>`.

Sources: the chat template of MiniMaxAI's M2; vLLM's minimax_m2 tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.invoked import invocation_rules
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.invoked import invocations

OPEN, CLOSE = "<minimax:tool_call>", "</minimax:tool_call>"

_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={OPEN: invocations(CLOSE)},
    special=frozenset({OPEN, CLOSE, "<think>", "</think>"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    calls = invocation_rules(
        rules,
        functions,
        parallel,
        close=CLOSE,
        outer=lambda terminal: rules.until(CLOSE, terminal),
        last=rules.marker(CLOSE),
    )
    return Calls({OPEN: f"GAP {calls}"})


FAMILY = Family(
    variants=(Variant("minimax-m2", tools=True, thinks=True),),
    evidence=(Evidence((OPEN,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_ATTRIBUTE),
)
