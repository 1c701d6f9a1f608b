"""GLM 4.5 to 4.7, GLM-OCR, Laguna: `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

Values are plain text that the tool's schema gives a type. These models leave tags out; what is in between
tells what it is. Laguna also writes `<user>f…</user>`.

Sources: Ollama model/parsers/glm46.go, glm47.go and laguna.go; the chat templates of zai-org's models.
"""

from __future__ import annotations

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
    fields: list[str] = []
    before = ""
    closing = False
    while True:
        text, tag = yield from source.until(_KEY, _KEY_END, _VALUE, _VALUE_END, end, or_end=True)
        if (
            not tag
            and before == _VALUE_END
            and text.strip().startswith("</")
            and end.startswith(text.strip())
        ):
            text, closing = "", True
        # Behind an opening tag is a field; elsewhere, only if there is anything.
        if before in (_KEY, _VALUE) or text.strip():
            fields.append(text)
        if tag in (end, ""):
            break
        before = tag
    if len(fields) % 2 or (not tag and before != _VALUE_END):
        raise Malformed
    keys = [key.strip() for key in fields[::2]]
    # At the answer's end only the outer tag may be missing, never an argument.
    if not tag and source.cut and not closing:
        raise Malformed
    if not tag and (name not in tools.names or not tools.required(name) <= set(keys)):
        raise Malformed
    values = [value.removeprefix("\n").removesuffix("\n") for value in fields[1::2]]
    return {key: tools.typed(name, key, value) for key, value in zip(keys, values, strict=True)}


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
