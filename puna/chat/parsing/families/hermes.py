"""Hermes and Qwen 2.5, 3 and 3-VL: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.

Sources: Ollama model/parsers/qwen3.go and qwen3vl.go; the templates of NousResearch's Hermes 3 and Qwen's
models.
"""

from __future__ import annotations

from puna.chat.parsing.calls import objects
from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.values import Tools

from .qwen3_coder import functions

THINK = Tags("<think>", "</think>", calls_end_it=True)
SPECIAL = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>"})


def _call(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    # Models taught both notations mix them.
    if (yield from source.choice("<function=")):
        yield from functions(source, tools)
    else:
        yield from objects(source)
        yield from source.closer("</tool_call>")


HERMES = Tagged(tags=THINK, calls={"<tool_call>": _call}, special=SPECIAL)
