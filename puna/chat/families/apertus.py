"""Apertus: `<|tools_prefix|>[{"f": {…}}, …]<|tools_suffix|>`. Each object has one key, the function's name.

Sources: the chat template of swiss-ai's models; vLLM's apertus tool parser; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from typing import Any

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import arguments, call_list
from puna.chat.grammars.rules import in_json
from puna.chat.parsing import Malformed, Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.values import json_object

OPEN, CLOSE = "<|tools_prefix|>", "<|tools_suffix|>"
_TAGS = ThinkingTags("<|inner_prefix|>", "<|inner_suffix|>", calls_end_it=True)


def _calls(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect("[")
    separator = ","
    while separator == ",":
        yield from source.blank()
        source.called(*_name_and_arguments(json_object((yield from source.bracketed()))))
        yield from source.blank()
        separator = yield from source.choice(",", "]")
    yield from source.closer(CLOSE)


def _name_and_arguments(call: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if len(call) != 1:
        raise Malformed
    [(name, arguments)] = call.items()
    if not isinstance(arguments, dict) or not name.strip():
        raise Malformed
    return name, arguments


_FORMAT = Tagged(
    tags=_TAGS,
    calls={OPEN: _calls},
    special=frozenset({OPEN, CLOSE, _TAGS.open, _TAGS.close}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    objects = [
        f'"{{" SPACE {in_json(one.name)} SPACE ":" SPACE {arguments(rules, one)} SPACE "}}"'
        for one in functions
    ]
    body = call_list(rules.any_of("call", objects), parallel=parallel)
    return Calls({OPEN: f"SPACE {body} SPACE {rules.marker(CLOSE)}"})


FAMILY = Family(
    variants=(Variant("apertus", tools=True, thinks=True),),
    evidence=(Evidence((OPEN,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_JSON),
)
