"""Nemotron Nano 2 and Llama Nemotron: `<TOOLCALL>[{"name": …, "arguments": {…}}]</TOOLCALL>`.

Sources: the chat templates of nvidia's models; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.slips import SLIPS
from puna.chat.parsing.tagged import Tagged, Tags

OPEN, CLOSE = "<TOOLCALL>", "</TOOLCALL>"

NEMOTRON_V2 = Tagged(
    tags=Tags("<think>", "</think>"),
    calls={OPEN: json_calls(CLOSE)},
    bare=bare_objects,
    slips=SLIPS,
    special=frozenset({OPEN, CLOSE, "<think>", "</think>"}),
)
