"""Command: a JSON list between two tags, or fenced behind `Action:`."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.objects import call, listed
from puna.chat.grammars.rules import Rules
from puna.chat.grammars.schemas import Function


def cohere(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    one = call(rules, functions, name="tool_name", keys=("parameters",), before="tool_call_id")
    body = listed(one, parallel=parallel)
    return Calls(
        {
            "<|START_ACTION|>": f"SPACE {body} SPACE {rules.marker('<|END_ACTION|>')}",
            # "Action:" alone may be a word of the text.
            "Action: ```json": f'SPACE {body} SPACE "```"',
        }
    )
