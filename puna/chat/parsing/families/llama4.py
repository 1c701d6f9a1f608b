"""Llama 4: `[f(k="v"), …]`, perhaps in `<|python_start|>…<|python_end|>`, or JSON as Llama 3 writes it.

Sources: Meta's prompt format page for Llama 4; vLLM's llama4_pythonic tool parser.
"""

from __future__ import annotations

from puna.chat.parsing.calls import json_calls, python_calls
from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged
from puna.chat.parsing.tools import Tools

from .llama3 import SLIPS, bare

_START, _END = "<|python_start|>", "<|python_end|>"
_python = python_calls(_END)
_json = json_calls(_END)


def _calls(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from (_json if (yield from source.ahead()) == "{" else _python)(source, tools)


LLAMA4 = Tagged(
    calls={_START: _calls},
    bare=bare,
    slips=SLIPS,
    special=frozenset({_START, _END}),
)
