"""Seed-OSS: `<seed:tool_call><function=f><parameter=k>v</parameter></function></seed:tool_call>`.

Sources: the chat template of ByteDance-Seed's models; vLLM's seed_oss tool parser; llama.cpp
tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools

from .qwen3_coder import FUNCTION, elements, functions

OPEN, CLOSE = "<seed:tool_call>", "</seed:tool_call>"
WRITTEN = elements(CLOSE)


def _calls(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect(FUNCTION)
    yield from functions(source, tools, WRITTEN)


SEED_OSS = Tagged(
    tags=Tags("<seed:think>", "</seed:think>"),
    calls={OPEN: _calls},
    special=frozenset({OPEN, CLOSE, "<seed:think>", "</seed:think>"}),
)
