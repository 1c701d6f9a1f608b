"""GLM 4.5 to 4.7, GLM-OCR, Laguna: `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

Values are plain text that the tool's schema gives a type. These models leave tags out; what is in between
tells what it is. Laguna also writes `<user>f…</user>`.

Sources: Ollama model/parsers/glm46.go, glm47.go and laguna.go; the chat templates of zai-org's models.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from puna.chat.parsing.calls import bare_objects, objects
from puna.chat.parsing.slips import BARE
from puna.chat.parsing.source import Malformed, Source, Step
from puna.chat.parsing.tagged import Reading, Tagged, Tags
from puna.chat.parsing.tools import Tools
from puna.chat.parsing.values import json_object

_KEY, _KEY_END = "<arg_key>", "</arg_key>"
_VALUE, _VALUE_END = "<arg_value>", "</arg_value>"
_END = "</tool_call>"


def _calls(end: str, *, declared: bool = False) -> Reading:
    """Reads a call up to its closing tag; if `declared`, only one to a tool of the request."""

    def read(source: Source, tools: Tools) -> Step[None]:
        yield from source.blank()
        if (yield from source.ahead()) == "{":
            yield from (bare_objects(source, tools) if declared else objects(source))
            yield from source.closer(end)
            return
        name = yield from source.word(r"\w.\-")
        if declared and name not in tools.names:
            raise Malformed
        yield from source.blank()
        if (yield from source.ahead()) == "{":
            source.called(name, json_object((yield from source.bracketed())))
            yield from source.closer(end)
            return
        source.called(name, (yield from _arguments(source, tools, name, end)))

    return read


def _arguments(source: Source, tools: Tools, name: str, end: str) -> Step[dict[str, Any]]:
    found: dict[str, Any] = {}
    before, tag = yield from source.until(_KEY, _KEY_END, _VALUE, end, or_end=True)
    while tag not in (end, ""):
        if tag == _KEY:
            before, tag = yield from source.until(_KEY_END, _VALUE, end)
        if tag == end:
            raise Malformed
        key = before.strip()
        opened = tag
        if tag == _KEY_END:
            yield from source.blank()
            opened = yield from source.choice(_VALUE)
        text, tag = yield from _value(source, tools.parameters(name), end)
        if not (opened or text.strip()):
            raise Malformed
        found[key] = tools.typed(name, key, text.removeprefix("\n").removesuffix("\n"))
        before = ""
        if tag.endswith(_KEY_END):
            before, tag = tag.removesuffix(_KEY_END), _KEY_END
    if before.strip():
        raise Malformed
    # At the answer's end only the outer tag may be missing, never an argument.
    if not tag and (source.cut or name not in tools.names or not tools.required(name) <= found.keys()):
        raise Malformed
    return found


def _value(source: Source, declared: tuple[str, ...], end: str) -> Step[tuple[str, str]]:
    """A value and the tag behind it, also that of a key that began without one; "" at the answer's end.

    A value may have tags in it: its closing tag counts only where a key or the call's end comes behind it.
    """
    begin = source.mark
    while True:
        _, tag = yield from source.until(_VALUE_END, _KEY, end)
        text = partial(source.between, begin, source.mark - 1)
        if tag != _VALUE_END:
            return text(), tag
        yield from source.blank()
        tag = yield from source.choice(_KEY, end, *(key + _KEY_END for key in declared))
        if not tag and source.ended:
            if (yield from source.choice("</")):
                yield from source.closer(end.removeprefix("</"))
            if not (yield from source.ahead()):
                return text(), ""
        elif tag:
            return text(), tag


_SPECIAL = frozenset({"<think>", "</think>", "<tool_call>", _END, _KEY, _KEY_END, _VALUE, _VALUE_END})

GLM = Tagged(
    tags=Tags("<think>", "</think>", calls_end_it=True), calls={"<tool_call>": _calls(_END)}, special=_SPECIAL
)
LAGUNA = Tagged(
    tags=Tags("<think>", "</think>", anywhere=True, calls_end_it=True),
    calls={"<tool_call>": _calls(_END)},
    bare=bare_objects,
    slips={**BARE, "<user>": _calls("</user>", declared=True)},
    special=_SPECIAL | {"<user>", "</user>"},
)
