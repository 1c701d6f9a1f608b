"""Hermes and Qwen 2.5, 3 and 3-VL: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.

So do EXAONE 4, MiMo, SmolLM3 and ERNIE 4.5, which puts its answer in `<response>`.

Sources: Ollama model/parsers/qwen3.go and qwen3vl.go; the templates of NousResearch's Hermes 3, Qwen's and
Baidu's models; vLLM's ernie45 parsers.
"""

from __future__ import annotations

from dataclasses import replace

from puna.chat.parsing.calls import bare_objects, objects
from puna.chat.parsing.slips import SLIPS
from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools

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


HERMES = Tagged(
    tags=THINK,
    calls={"<tool_call>": _call},
    bare=bare_objects,
    slips=SLIPS,
    special=SPECIAL,
)
ERNIE = replace(HERMES, dropped=("<response>", "</response>"), spaced=True)
