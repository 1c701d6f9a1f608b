"""DeepSeek V3.2 and V4: `<｜DSML｜invoke name="f"><｜DSML｜parameter name="k" string="true">v</…></…>`.

All calls are within `<｜DSML｜function_calls>`, in V4 `<｜DSML｜tool_calls>`. No grammar constrains
them, because in the tags `｜DSML｜` is a separate token. So these models sometimes omit or misspell the outer
tag, or put all arguments into one.

Sources: deepseek-ai's encoding of V3.2's messages; vLLM's deepseekv32 and deepseekv4 tool parsers; llama.cpp
tests/test-chat.cpp.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Tagged, ThinkingTags, Tools
from puna.chat.parsing.invoked import invocations, offered_invocations
from puna.chat.parsing.values import json_value

_PREFIX = "｜DSML｜"
_CLOSE = f"</{_PREFIX}tool_calls>"
_WRAPPERS = {"arguments", "input"}


def _unwrapped(tools: Tools, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without an undeclared one that holds all others."""
    declared = {*tools.parameters(name)}
    if len(arguments) > 1 or not arguments.keys() <= _WRAPPERS - declared:
        return arguments
    for inner in arguments.values():
        if isinstance(inner, str):
            with suppress(ValueError, RecursionError):
                inner = json_value(inner)
        if isinstance(inner, dict) and inner.keys() <= declared:
            return inner
    return arguments


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={
        f"<{_PREFIX}{outer}>": invocations(f"</{_PREFIX}{outer}>", _PREFIX, _unwrapped)
        for outer in ("function_calls", "tool_calls")
    },
    lenient={
        f"<{_PREFIX}toolcalls>": invocations(_CLOSE, _PREFIX, _unwrapped),
        f"<{_PREFIX}invoke": offered_invocations(_CLOSE, _PREFIX, _unwrapped),
    },
    special=frozenset({_PREFIX, "<think>", "</think>"}),
)


FAMILY = Family(
    variants=(Variant("deepseek3.2", tools=True, thinks=True),),
    evidence=(Evidence((_PREFIX,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
