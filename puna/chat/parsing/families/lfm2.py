"""LFM2: `<|tool_call_start|>[f(k='v'), g(n=1)]<|tool_call_end|>`, calls as Python writes them.

Sources: Ollama model/parsers/lfm2.go; Liquid AI's LFM2 chat template.
"""

from __future__ import annotations

from puna.chat.parsing.calls import bare_python_calls, json_calls, python_calls
from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools

_END = "<|tool_call_end|>"
_python = python_calls(_END)
_json = json_calls(_END)


def _calls(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from (_json if (yield from source.ahead()) == "{" else _python)(source, tools)


def _bare(source: Source, tools: Tools) -> Step[None]:
    yield from source.expect("[")
    yield from bare_python_calls(source, tools)
    yield from source.closer(_END)


LFM2 = Tagged(
    tags=Tags("<think>", "</think>"),
    calls={"<|tool_call_start|>": _calls},
    bare=_bare,
    special=frozenset({"<think>", "</think>", "<|tool_call_start|>", _END}),
)
