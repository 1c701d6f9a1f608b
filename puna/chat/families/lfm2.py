"""LFM2: `<|tool_call_start|>[f(k='v'), g(n=1)]<|tool_call_end|>`, calls as Python writes them.

openPangu 2 writes a list of `{"name": …, "arguments": {…}}` in these tags.

Sources: Ollama model/parsers/lfm2.go; vLLM's lfm2 and pangu tool parsers; Liquid AI's LFM2 chat templates.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call, call_list
from puna.chat.grammars.python_calls import python_call
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import bare_python_calls, python_or_json_calls
from puna.chat.parsing.literals import BEHIND_STRING
from puna.chat.renderers import Renderer
from puna.chat.renderers.lfm2 import answer_text, lfm2, lfm2_thinking

_START, _END = "<|tool_call_start|>", "<|tool_call_end|>"


_CALLS = python_or_json_calls(_END)


def _calls(source: Scanner, tools: Tools) -> Step[None]:
    yield from _CALLS(source, tools)
    yield from source.skip()
    # Small models repeat the list.
    if (yield from source.ahead()) == "[":
        yield from source.bracketed("\"'", nested=BEHIND_STRING)
        yield from source.expect(_END)


def _bare(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.expect("[")
    yield from bare_python_calls(source, tools)
    yield from source.closer(_END)


_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={_START: _calls},
    bare=_bare,
    special=frozenset({"<think>", "</think>", _START, _END}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    one = python_call(rules, functions)
    more = f' (GAP "," GAP {one})*' if parallel else ""
    in_json = call_list(call(rules, functions), parallel=parallel)
    body = rules.any_of("calls", [f'"[" GAP {one}{more} GAP "]"', in_json])
    return Calls({_START: f"GAP {body} GAP {rules.marker(_END)}"})


FAMILY = Family(
    variants=(
        Variant("lfm2", tools=True, renderer=Renderer(lfm2, "tools", "images")),
        Variant(
            "lfm2-thinking",
            tools=True,
            thinks=True,
            renderer=Renderer(lfm2_thinking, "tools", "think", "images"),
        ),
    ),
    # Most of these models' templates have no call marker.
    evidence=(Evidence((_START,)), Evidence(("List of tools: ", "<|im_start|>"), EvidenceRank.TURNS)),
    format=_FORMAT,
    answer_text=answer_text,
    constrain=after_markers(_FORMAT, _notation, names.IDENTIFIER),
)
