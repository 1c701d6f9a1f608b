"""MiniCPM5: `<function name="f"><param name="k">v</param></function>`, without a tag around all calls.

Values with tags or line breaks are CDATA. No grammar constrains calls, because `<function` and `<param` are
tokens, but their attributes are text.

Sources: the chat template of openbmb/MiniCPM5-1B; SGLang's minicpm5 detector; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

import re
from typing import Any

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.elements import Argument, Elements, by_schema

_CALL = '<function name="'
_CALLS = Elements("<param", re.compile(r'\s*name="([^"]*)"\s*'), "</param>", "</function>", "", _CALL)
_DATA = re.compile(r"\s*<!\[CDATA\[(.*)\]\]>\s*", re.DOTALL)


def _read(source: Scanner, tools: Tools) -> Step[None]:
    yield from _CALLS.calls(source, tools, _name, typed=_typed_value)


def _name(source: Scanner, tools: Tools) -> Step[tuple[str, str]]:
    name = yield from source.word(r'^"<>\s')
    yield from source.expect('">')
    return name, ""


def _typed_value(tools: Tools, name: str, argument: Argument) -> Any:
    data = _DATA.fullmatch(argument.text)
    return by_schema(tools, name, argument._replace(text=data[1]) if data else argument)


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={_CALL: _read},
    special=frozenset({"<function", "</function>", "<param", "</param>", "<think>", "</think>"}),
)

FAMILY = Family(
    variants=(Variant("minicpm5", tools=True, thinks=True),),
    evidence=(Evidence((_CALL, '<param name="')),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
