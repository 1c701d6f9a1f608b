"""Granite and Phi-4-mini: a JSON list, or an object in tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import call, listed
from puna.chat.grammars.rules import Rules
from puna.chat.grammars.schemas import Function


def granite(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    one = call(rules, functions)
    many = listed(one, parallel=parallel)
    return Calls(
        {
            "<|tool_call|>": f"SPACE {many} (SPACE {rules.marker('<|/tool_call|>')})?",
            "<tool_call>": f"SPACE {one} SPACE {rules.marker('</tool_call>')}",
        }
    )
