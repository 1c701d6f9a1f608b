"""MiniMax-M2: `<invoke name="f"><parameter name="k">v</parameter></invoke>` in `<minimax:tool_call>`.

Its prompts open `<think>`.

Sources: the chat template of MiniMaxAI's M2; vLLM's minimax_m2 tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.parsing.invoked import invocations
from puna.chat.parsing.tagged import Tagged, Tags

OPEN, CLOSE = "<minimax:tool_call>", "</minimax:tool_call>"

MINIMAX = Tagged(
    tags=Tags("<think>", "</think>", calls_end_it=True),
    calls={OPEN: invocations(CLOSE)},
    special=frozenset({OPEN, CLOSE, "<think>", "</think>"}),
)
