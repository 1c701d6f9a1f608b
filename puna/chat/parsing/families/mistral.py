"""Mistral, Ministral and Magistral: `[TOOL_CALLS]` and then calls.

A JSON list of them up to version 7 of their tokenizer, later `name[ARGS]{…}`, in between perhaps an
id behind `[CALL_ID]`. Reasoning is in `[THINK]…[/THINK]`.

Sources: Ollama model/parsers/ministral.go; mistral-common's instruct tokenizers; vLLM's mistral tool parser.
"""

from __future__ import annotations

from puna.chat.parsing.calls import bare_objects, objects
from puna.chat.parsing.slips import BARE
from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools
from puna.chat.parsing.values import json_object


def _calls(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) in ("[", "{"):
        yield from objects(source)
        yield from source.closer("[/TOOL_CALLS]")
        return
    name = yield from source.word(r"\w.\-:/")
    if (yield from source.choice("[CALL_ID]", "[ARGS]")) == "[CALL_ID]":
        yield from source.word(r"\w\-")
        yield from source.expect("[ARGS]")
    yield from source.blank()
    source.called(name, json_object((yield from source.bracketed())))


MISTRAL = Tagged(
    tags=Tags("[THINK]", "[/THINK]", anywhere=True),
    calls={"[TOOL_CALLS]": _calls},
    bare=bare_objects,
    slips=BARE,
    special=frozenset({"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"}),
)
