"""GigaChat 3: `<|function_call|>{"name": …, "arguments": {…}}`.

3.0 ends its text with `<|message_sep|>` and then writes `function call<|role_sep|>` before the object.

Sources: the chat templates of ai-sage's models; vLLM's gigachat3 tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import bare_objects, named_call
from puna.chat.parsing.lenient import LENIENT
from puna.chat.parsing.values import json_value

OPEN, SEPARATOR, ROLE = "<|function_call|>", "<|message_sep|>", "<|role_sep|>"


def _call(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    source.called(*named_call(json_value((yield from source.bracketed()))))


def _message(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.choice("function call")):
        yield from source.expect(ROLE)
        yield from _call(source, tools)


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={OPEN: _call, SEPARATOR: _message},
    bare=bare_objects,
    lenient=LENIENT,
    special=frozenset({OPEN, SEPARATOR, ROLE}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    return Calls({OPEN: f"SPACE {call(rules, functions)}"})


FAMILY = Family(
    variants=(Variant("gigachat", tools=True),),
    evidence=(Evidence((OPEN,)), Evidence(("function call", ROLE))),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_JSON),
)
