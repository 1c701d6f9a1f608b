"""Qwen3-Coder, Qwen 3.5, Nemotron 3 Nano and Ornith: `<function=f><parameter=k>v</parameter></function>`.

It is in `<tool_call>` tags, but the first may be missing. Values are plain text that the tool's schema gives
a type.

Sources: Ollama model/parsers/qwen3coder.go, qwen35.go and nemotron3nano.go; llama.cpp common/chat.cpp.
"""

from __future__ import annotations

import re
from typing import Literal

from puna.chat.parsing.calls import objects
from puna.chat.parsing.elements import Elements
from puna.chat.parsing.source import Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools

FUNCTION = "<function="


def elements(outer: str, pad: Literal["", "\n"] = "") -> Elements:
    """The notation within the tag that `outer` closes."""
    return Elements(
        "<parameter=",
        re.compile(r"\s*([^\s](?:.*[^\s])?)\s*"),
        "</parameter>",
        "</function>",
        (outer, FUNCTION),
        pad,
    )


TOOL_CALL = elements("</tool_call>", pad="\n")


def functions(source: Source, tools: Tools, written: Elements = TOOL_CALL) -> Step[None]:
    """Calls from behind `<function=`, and the outer tag's end."""
    follower = FUNCTION
    while follower == FUNCTION:
        name = yield from source.word(r"^<>\s")
        yield from source.expect(">")
        given, follower = yield from written.arguments(source, tools.parameters(name))
        source.called(name, {(key := one.tag[1]): tools.typed(name, key, one.text) for one in given})
        if not follower:
            yield from source.blank()
            follower = yield from source.choice(FUNCTION)
    if not follower:
        yield from source.closer(written.followers[0])


def _tagged(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) == "{":
        yield from objects(source)
        yield from source.closer("</tool_call>")
    else:
        yield from source.expect("<function=")
        yield from functions(source, tools)


def _untagged(source: Source, tools: Tools) -> Step[None]:
    yield from functions(source, tools)


_CALLS = {"<tool_call>": _tagged, "<function=": _untagged}

QWEN3_CODER = Tagged(calls=_CALLS, special=frozenset({"<tool_call>", "</tool_call>"}))
QWEN35 = Tagged(
    tags=Tags("<think>", "</think>", calls_end_it=True),
    calls=_CALLS,
    special=QWEN3_CODER.special | {"<think>", "</think>"},
)
