"""JSON calls without the family's marker, or with another family's.

Small or quantised models, and models trained on several notations, write them. Within text, an object is a
call only if it names a tool of the request and has its required arguments.

Sources: llama.cpp's Hermes parser (common/chat.cpp up to the parsers of 2026), vLLM's llama3_json and
xlam tool parsers, Ollama model/parsers/laguna.go.
"""

from __future__ import annotations

from typing import Any

from .calls import after_brace, bare_objects
from .scanner import Malformed, Scanner, Step
from .tagged import CallReader
from .tools import Tools

_TAGS = ("tools", "tool", "function_call", "json", "JSON")
_LANGUAGES = ("json", "tool_call")


def in_tag(tag: str) -> CallReader:
    """Reads objects after the tag `tag`."""

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        yield from bare_objects(source, tools)
        yield from source.closer(f"</{tag}>")

    return read


def _object(source: Scanner, tools: Tools) -> Step[None]:
    yield from after_brace(source, tools, source.called)


def _list(source: Scanner, tools: Tools) -> Step[None]:
    yield from after_brace(source, tools, source.called, "[")


def _fenced(source: Scanner, tools: Tools) -> Step[None]:
    """Reads a code block that contains only calls."""
    found: list[tuple[str, dict[str, Any]]] = []
    yield from source.choice(*_LANGUAGES)
    yield from source.blank()
    yield from bare_objects(source, tools, lambda *call: found.append(call))
    yield from source.blank()
    if not (yield from source.choice("```")) and (not source.ended or (yield from source.ahead())):
        raise Malformed
    for name, arguments in found:
        source.called(name, arguments)


# Only after white space: elsewhere a brace is part of a larger expression.
BARE: dict[str, CallReader] = {
    **dict.fromkeys((" {", "\n{"), _object),
    **dict.fromkeys((" [{", "\n[{"), _list),
    "```": _fenced,
}
LENIENT: dict[str, CallReader] = {**BARE, **{f"<{tag}>": in_tag(tag) for tag in _TAGS}}
