"""GLM 4.5 to 4.7, GLM-OCR, Laguna: `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

Values are plain text that the tool's schema gives a type. These models leave tags out; what is in between
tells what it is.

Sources: Ollama model/parsers/glm46.go, glm47.go and laguna.go; the chat templates of zai-org's models.
"""

from __future__ import annotations

from puna.chat.parsing.calls import objects
from puna.chat.parsing.source import Malformed, Source, Step
from puna.chat.parsing.tagged import Tagged, Tags
from puna.chat.parsing.values import Tools, json_object

_KEY, _KEY_END = "<arg_key>", "</arg_key>"
_VALUE, _VALUE_END = "<arg_value>", "</arg_value>"
_END = "</tool_call>"


def _call(source: Source, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) == "{":
        yield from objects(source)
        yield from source.closer(_END)
        return
    name = yield from source.word(r"\w.\-")
    yield from source.blank()
    if (yield from source.ahead()) == "{":
        source.called(name, json_object((yield from source.bracketed())))
        yield from source.closer(_END)
        return
    fields: list[str] = []
    before = ""
    while True:
        text, tag = yield from source.until(_KEY, _KEY_END, _VALUE, _VALUE_END, _END, or_end=True)
        # Behind an opening tag is a field; elsewhere, only if there is anything.
        if before in (_KEY, _VALUE) or text.strip():
            fields.append(text)
        if tag in (_END, ""):
            break
        before = tag
    if len(fields) % 2 or (not tag and before != _VALUE_END):
        raise Malformed
    keys = [key.strip() for key in fields[::2]]
    # At the answer's end only the outer tag may be missing, never an argument.
    if not tag and (name not in tools.names or not tools.required(name) <= set(keys)):
        raise Malformed
    values = [value.removeprefix("\n").removesuffix("\n") for value in fields[1::2]]
    source.called(name, {key: tools.typed(name, key, value) for key, value in zip(keys, values, strict=True)})


_SPECIAL = frozenset({"<think>", "</think>", "<tool_call>", _END, _KEY, _KEY_END, _VALUE, _VALUE_END})

GLM = Tagged(tags=Tags("<think>", "</think>"), calls={"<tool_call>": _call}, special=_SPECIAL)
LAGUNA = Tagged(
    tags=Tags("<think>", "</think>", anywhere=True, calls_end_it=True, unwanted_is_dropped=True),
    calls={"<tool_call>": _call},
    special=_SPECIAL,
)
