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


def invoking_family(name: str, open: str, close: str) -> Family:
    """The family that writes calls between these tags."""
    format = Tagged(
        tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
        calls={open: invocations(close)},
        special=frozenset({open, close, "<think>", "</think>"}),
    )

    def notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
        calls = invocation_rules(
            rules,
            functions,
            parallel,
            close=close,
            outer=lambda terminal: rules.until(close, terminal),
            last=rules.marker(close),
        )
        return Calls({open: f"GAP {calls}"})

    return Family(
        variants=(Variant(name, tools=True, thinks=True),),
        evidence=(Evidence((open,)),),
        format=format,
        constrain=after_markers(format, notation, names.IN_ATTRIBUTE),
    )


FAMILY = invoking_family("minimax-m2", "<minimax:tool_call>", "</minimax:tool_call>")
