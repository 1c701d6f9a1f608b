"""Glimmer: messages with recipients, `<|start|>assistant to=self<|message|>…<|eom|>`.

To itself the model reasons. A call, whoever it is addressed to, is
`<atem:function_calls><atem:invoke name="f"><atem:parameter name="k">v</atem:parameter>…`.

Source: Ollama model/parsers/glimmer.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from puna.chat.parsing.markers import markers
from puna.chat.parsing.parts import Content, Thinking
from puna.chat.parsing.source import Kind, Malformed, Source, Step
from puna.chat.parsing.tagged import Asked
from puna.chat.parsing.values import Tools

_START, _MESSAGE = "<|start|>", "<|message|>"
_ENDS = ("<|eom|>", "<|eot|>")
_CALLS, _CALLS_END = "<atem:function_calls>", "</atem:function_calls>"
_INVOKE = '<atem:invoke name="'
_BOUNDARIES = markers(*_ENDS, _START, _CALLS)
_BOUNDARIES_WITHOUT_CALLS = markers(*_ENDS, _START)


@dataclass(frozen=True)
class Glimmer:
    special: frozenset[str] = frozenset({_START, _MESSAGE, *_ENDS})

    def read(self, source: Source, asked: Asked) -> Step[None]:
        boundaries = _BOUNDARIES if asked.tools.names else _BOUNDARIES_WITHOUT_CALLS
        boundary, kind = _START, Content
        while boundary:
            if boundary == _START:
                try:
                    recipient = yield from _header(source)
                    kind: Kind = Content
                    if recipient == "self":
                        kind = None if asked.think is False else Thinking
                except Malformed:
                    source.give_back(Content)
                    kind = Content
            elif boundary == _CALLS:
                try:
                    yield from _calls(source, asked.tools)
                    yield from source.skip()
                except (ValueError, RecursionError):
                    source.give_back(kind)
            else:
                yield from source.skip()
                kind = Content
            boundary = yield from source.text(boundaries, kind)
            if boundary and boundary != _CALLS:
                source.give_back_before(kind)


def _header(source: Source) -> Step[str]:
    """The recipient of a message, from behind its start; "" when it names none."""
    yield from source.blank()
    yield from source.choice(_START)
    yield from source.choice("assistant")
    yield from source.blank()
    recipient = ""
    if (yield from source.choice("to=")):
        recipient = yield from source.word(r"^<>\s")
        yield from source.blank()
    yield from source.expect(_MESSAGE)
    source.drop()
    return recipient


def _calls(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect(_INVOKE)
    while True:
        name, _ = yield from source.until('">')
        name = name.replace(_MESSAGE, "")
        namespace, _, rest = name.partition(".")
        if name not in tools.names and rest in tools.names and rest.partition(".")[0] == namespace:
            name = rest
        if name not in tools.names:
            raise Malformed
        arguments: dict[str, Any] = {}
        while True:
            yield from source.blank()
            if (yield from source.choice('<atem:parameter name="')):
                key, _ = yield from source.until('">')
                value, _ = yield from source.until("</atem:parameter>")
                arguments[key] = tools.typed(name, key, value)
            else:
                break
        yield from source.expect("</atem:invoke>")
        source.called(name, arguments)
        yield from source.blank()
        if not (yield from source.choice(_INVOKE)):
            break
    yield from source.closer(_CALLS_END)


GLIMMER = Glimmer()
