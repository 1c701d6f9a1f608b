"""Command R, Command A and North: `<|START_ACTION|>[{"tool_name": …, "parameters": {…}}]<|END_ACTION|>`.

Text is between `<|START_TEXT|>` or `<|START_RESPONSE|>` and its end. The first Command R writes `Action:` and
fenced JSON.

Sources: Ollama model/parsers/cohere.go; Cohere's Command R and R7B prompt pages; llama.cpp common/chat.cpp.
"""

from __future__ import annotations

from puna.chat.parsing.calls import json_calls
from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools

_listed = json_calls("<|END_ACTION|>")
_fenced = json_calls("```")


def _action(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect("```json")
    yield from _fenced(source, tools)


_NOTATION = (
    "<|START_TEXT|>",
    "<|END_TEXT|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
    "<|END_OF_TURN_TOKEN|>",
)

COHERE = Tagged(
    tags=Tags("<|START_THINKING|>", "<|END_THINKING|>"),
    calls={"<|START_ACTION|>": _listed, "Action:": _action},
    dropped=_NOTATION,
    special=frozenset(
        {*_NOTATION[:4], "<|START_THINKING|>", "<|END_THINKING|>", "<|START_ACTION|>", "<|END_ACTION|>"}
    ),
)
