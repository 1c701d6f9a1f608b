"""Hermes and Qwen: one JSON object in each `<tool_call>`."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import call
from puna.chat.grammars.rules import Rules
from puna.chat.grammars.schemas import Function

CLOSE = "</tool_call>"


def hermes(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    # Hermes 2 was taught the arguments first.
    one = call(rules, functions, turned=True)
    several = f" (GAP {one})*" if parallel else ""
    return Calls({"<tool_call>": f"SPACE {one}{several} SPACE {rules.marker(CLOSE)}"})
