"""Kimi K2 and Linear: `<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.

All calls are within `<|tool_calls_section_begin|>…<|tool_calls_section_end|>`; these models leave out all but
what begins a call and its arguments.

Sources: Moonshot AI's tool call guide for Kimi K2; vLLM's kimi_k2 tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

import re

from puna.chat.parsing.source import Malformed, Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools
from puna.chat.parsing.values import json_object

SECTION, SECTION_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL, CALL_END = "<|tool_call_begin|>", "<|tool_call_end|>"
ARGUMENTS = "<|tool_call_argument_begin|>"
_ID = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")


def _section(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect(CALL)
    yield from _calls(source, tools)


def _calls(source: Source, tools: Tools) -> Step[None]:
    while True:
        yield from source.blank()
        found = _ID.fullmatch((yield from source.word(r"\w.\-:/")))
        if not found or found[1].isdigit():
            raise Malformed
        yield from source.blank()
        yield from source.expect(ARGUMENTS)
        yield from source.blank()
        source.called(found[1], json_object((yield from source.bracketed())))
        yield from source.closer(CALL_END)
        yield from source.blank()
        if not (yield from source.choice(CALL)):
            break
    yield from source.closer(SECTION_END)


KIMI_K2 = Tagged(
    tags=Tags("<think>", "</think>", calls_end_it=True),
    calls={SECTION: _section, CALL: _calls},
    special=frozenset({SECTION, SECTION_END, CALL, CALL_END, ARGUMENTS, "<think>", "</think>"}),
)
