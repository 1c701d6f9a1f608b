"""Kimi K3: `<|open|>call tool="f" index="1"<|sep|>`, its arguments, then `<|close|>call<|sep|>`.

An argument is `<|open|>argument key="k" type="string"<|sep|>v<|close|>argument<|sep|>`. Reasoning, text and
calls are sections with such tags: `think`, `response`, `tools`. No grammar constrains calls, because only
`<|open|>`, `<|close|>` and `<|sep|>` are tokens.

Sources: the chat template of moonshotai's Kimi K3; vLLM's kimi_k3 tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

import re
from typing import Any

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Malformed, Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import after
from puna.chat.parsing.elements import Argument, Elements, by_statement

_OPEN, _CLOSE, _SEPARATOR = "<|open|>", "<|close|>", "<|sep|>"


def _opening(section: str) -> str:
    return f"{_OPEN}{section}{_SEPARATOR}"


def _closing(section: str) -> str:
    return f"{_CLOSE}{section}{_SEPARATOR}"


_CALLS = Elements(
    f"{_OPEN}argument",
    re.compile(r'\s*key="([^"]*)"\s*type="(\w+)"\s*'),
    _closing("argument"),
    _closing("call"),
    _closing("tools"),
    f"{_OPEN}call",
    shut=_SEPARATOR,
)
_TOOL = re.compile(r'\s*tool="([^"]+)".*')


def _read(source: Scanner, tools: Tools) -> Step[None]:
    yield from _CALLS.calls(source, tools, _name, typed=_typed_value)


def _name(source: Scanner, tools: Tools) -> Step[tuple[str, str]]:
    tag = _TOOL.fullmatch((yield from source.until(_SEPARATOR))[0])
    if not tag:
        raise Malformed
    return tag[1], ""


def _typed_value(tools: Tools, name: str, argument: Argument) -> Any:
    return by_statement(tools, name, argument, is_text=argument.tag[2] == "string")


_FORMAT = Tagged(
    tags=ThinkingTags(_opening("think"), _closing("think"), calls_end_it=True),
    calls={_opening("tools"): after(_CALLS.another, _read)},
    dropped=(_opening("response"), _closing("response"), _closing("message")),
    special=frozenset({_OPEN, _CLOSE, _SEPARATOR}),
)

FAMILY = Family(
    variants=(Variant("kimi-k3", tools=True, thinks=True),),
    evidence=(Evidence((_OPEN, "<|end_of_msg|>")),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
