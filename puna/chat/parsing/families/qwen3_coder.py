"""Qwen3-Coder, Qwen 3.5, Nemotron 3 Nano and Ornith: `<function=f><parameter=k>v</parameter></function>`.

It is in `<tool_call>` tags, but the first may be missing. Values are plain text that the tool's schema gives
a type.

Sources: Ollama model/parsers/qwen3coder.go, qwen35.go and nemotron3nano.go; llama.cpp common/chat.cpp.
"""

from __future__ import annotations

from typing import Any

from puna.chat.parsing.calls import objects
from puna.chat.parsing.source import Malformed, Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools


def functions(source: Source, tools: Tools, *, close: str = "</tool_call>", pad: str = "\n") -> Step[None]:
    """Calls from behind `<function=`, and the outer tag's end; `pad` around a value is no part of it."""
    while True:
        yield from _function(source, tools, pad)
        yield from source.blank()
        if not (yield from source.choice("<function=")):
            break
    yield from source.closer(close)


def _function(source: Source, tools: Tools, pad: str) -> Step[None]:
    name = yield from source.word(r"^<>\s")
    yield from source.expect(">")
    arguments: dict[str, Any] = {}
    while True:
        yield from source.blank()
        tag = yield from source.choice("<parameter=", "</function>")
        if not tag:
            raise Malformed
        if tag == "</function>":
            return source.called(name, arguments)
        key = (yield from source.word(r"^<>\n")).strip()
        yield from source.expect(">")
        value, _ = yield from source.until("</parameter>")
        arguments[key] = tools.typed(name, key, value.removeprefix(pad).removesuffix(pad))


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
