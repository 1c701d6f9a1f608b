"""Apertus: `<|tools_prefix|>[{"f": {…}}, …]<|tools_suffix|>`, each object of one key, the function's name.

Sources: the chat template of swiss-ai's models; vLLM's apertus tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from typing import Any

from puna.chat.parsing.source import Malformed, Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.tools import Tools
from puna.chat.parsing.values import json_object

OPEN, CLOSE = "<|tools_prefix|>", "<|tools_suffix|>"
_TAGS = Tags("<|inner_prefix|>", "<|inner_suffix|>", calls_end_it=True)


def _calls(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect("[")
    separator = ","
    while separator == ",":
        yield from source.blank()
        source.called(*_named(json_object((yield from source.bracketed()))))
        yield from source.blank()
        separator = yield from source.choice(",", "]")
    yield from source.closer(CLOSE)


def _named(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if len(call) != 1:
        raise Malformed
    [(name, arguments)] = call.items()
    if not isinstance(arguments, dict) or not name.strip():
        raise Malformed
    return name, arguments


APERTUS = Tagged(
    tags=_TAGS,
    calls={OPEN: _calls},
    special=frozenset({OPEN, CLOSE, _TAGS.open, _TAGS.close}),
)
