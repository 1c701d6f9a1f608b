"""Kimi K2 and Linear: `<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.

All calls are within `<|tool_calls_section_begin|>…<|tool_calls_section_end|>`. These models may omit every
tag except those that begin a call and its arguments.

Sources: Moonshot AI's tool call guide for Kimi K2; vLLM's kimi_k2 tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

import re

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import literal
from puna.chat.parsing import Malformed, Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import after
from puna.chat.parsing.values import json_object

SECTION, SECTION_END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
CALL, CALL_END = "<|tool_call_begin|>", "<|tool_call_end|>"
ARGUMENTS = "<|tool_call_argument_begin|>"
_ID = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")


def _calls(source: Scanner, tools: Tools) -> Step[None]:
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


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={SECTION: after(CALL, _calls), CALL: _calls},
    special=frozenset({SECTION, SECTION_END, CALL, CALL_END, ARGUMENTS, "<think>", "</think>"}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    begin, end = rules.marker(CALL), rules.marker(CALL_END)
    given = rules.marker(ARGUMENTS)
    bodies = [
        f'("functions.")? {literal(one.name)} ":" /[0-9]{{1,3}}/ GAP {given} SPACE {arguments(rules, one)}'
        for one in functions
    ]
    call = rules.any_of("function", bodies)
    more = f" (GAP {begin} GAP {call} GAP {end})*" if parallel else ""
    section_end = rules.marker(SECTION_END)
    # Without a section these models also omit the end of a call.
    loose = f" (GAP ({end} GAP)? {begin} GAP {call})*" if parallel else ""
    return Calls(
        {
            SECTION: f"GAP {begin} GAP {call} GAP {end}{more} GAP {section_end}",
            CALL: f"GAP {call}{loose} (GAP {end})? (GAP {section_end})?",
        }
    )


FAMILY = Family(
    variants=(Variant("kimi-k2", tools=True, thinks=True),),
    evidence=(Evidence((SECTION,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IDENTIFIER),
)
