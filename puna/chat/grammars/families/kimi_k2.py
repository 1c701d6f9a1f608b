"""Kimi K2: ids that begin with the function's name, and JSON arguments."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.parsing.families.kimi_k2 import ARGUMENTS, CALL, CALL_END, SECTION, SECTION_END


def kimi_k2(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    begin, end = rules.marker(CALL), rules.marker(CALL_END)
    given = rules.marker(ARGUMENTS)
    bodies = [
        f'("functions.")? {literal(one.name)} ":" /[0-9]{{1,3}}/ GAP {given} SPACE {arguments(rules, one)}'
        for one in functions
    ]
    call = rules.any_of("function", bodies)
    more = f" (GAP {begin} GAP {call} GAP {end})*" if parallel else ""
    section_end = rules.marker(SECTION_END)
    # Without a section these models also leave out what ends a call.
    loose = f" (GAP ({end} GAP)? {begin} GAP {call})*" if parallel else ""
    return Calls(
        {
            SECTION: f"GAP {begin} GAP {call} GAP {end}{more} GAP {section_end}",
            CALL: f"GAP {call}{loose} (GAP {end})? (GAP {section_end})?",
        }
    )
