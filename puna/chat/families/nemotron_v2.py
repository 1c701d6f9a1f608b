"""Nemotron Nano 2 and Llama Nemotron: `<TOOLCALL>[{"name": …, "arguments": {…}}]</TOOLCALL>`.

Sources: the chat templates of nvidia's models; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.objects import list_between
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.lenient import LENIENT

OPEN, CLOSE = "<TOOLCALL>", "</TOOLCALL>"

_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={OPEN: json_calls(CLOSE)},
    bare=bare_objects,
    lenient=LENIENT,
    special=frozenset({OPEN, CLOSE, "<think>", "</think>"}),
)

FAMILY = Family(
    variants=(Variant("nemotron-nano-v2", tools=True, thinks=True),),
    evidence=(Evidence((OPEN,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, list_between(OPEN, CLOSE), names.IN_JSON),
)
