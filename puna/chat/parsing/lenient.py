"""Calls in JSON that a model writes without its family's marker, or with another's.

Small models, quantised ones and those taught several notations do so. In text all that counts is an object
which names one of the request's tools and has what that tool requires.

Sources: what llama.cpp reads for Hermes (common/chat.cpp up to the parsers of 2026), vLLM's llama3_json and
xlam tool parsers, Ollama model/parsers/laguna.go.
"""

from __future__ import annotations

from typing import Any

from .calls import bare_objects, behind_brace
from .scanner import Malformed, Scanner, Step
from .tagged import Reading
from .tools import Tools

_TAGS = ("tools", "tool", "function_call", "json", "JSON")
_LANGUAGES = ("json", "tool_call")


def in_tag(tag: str) -> Reading:
    """Objects from behind the tag `tag`."""

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        yield from bare_objects(source, tools)
        yield from source.closer(f"</{tag}>")

    return read


def _object(source: Scanner, tools: Tools) -> Step[None]:
    yield from behind_brace(source, tools, source.called)


def _list(source: Scanner, tools: Tools) -> Step[None]:
    yield from behind_brace(source, tools, source.called, "[")


def _fenced(source: Scanner, tools: Tools) -> Step[None]:
    """A block of code that is calls and nothing else."""
    found: list[tuple[str, dict[str, Any]]] = []
    yield from source.choice(*_LANGUAGES)
    yield from source.blank()
    yield from bare_objects(source, tools, lambda *call: found.append(call))
    yield from source.blank()
    if not (yield from source.choice("```")) and (not source.ended or (yield from source.ahead())):
        raise Malformed
    for name, arguments in found:
        source.called(name, arguments)


# A brace counts at the beginning of a word: elsewhere it is part of something larger.
BARE: dict[str, Reading] = {
    **dict.fromkeys((" {", "\n{"), _object),
    **dict.fromkeys((" [{", "\n[{"), _list),
    "```": _fenced,
}
LENIENT: dict[str, Reading] = {**BARE, **{f"<{tag}>": in_tag(tag) for tag in _TAGS}}
