"""Hermes and Qwen 2.5, 3 and 3-VL: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.

EXAONE 4, MiMo and SmolLM3 use the same format.

Sources: Ollama model/parsers/qwen3.go and qwen3vl.go; the templates of NousResearch's Hermes 3 and Qwen's
models.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import bare_objects, objects
from puna.chat.parsing.lenient import LENIENT
from puna.chat.parsing.xml_functions import xml_calls
from puna.chat.renderers import Renderer
from puna.chat.renderers.qwen3_vl import instruct, thinking
from puna.chat.renderers.reading import calls
from puna.chat.renderers.tool_json import spaced
from puna.types import Message

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


def _call(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    # Models that learned both notations mix them.
    if (yield from source.choice("<function=")):
        yield from xml_calls(source, tools)
    else:
        yield from objects(source)
        yield from source.closer(_CLOSE)


FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={_OPEN: _call},
    bare=bare_objects,
    lenient=LENIENT,
    special=frozenset({_OPEN, _CLOSE, "<think>", "</think>"}),
)


def notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    """Between the markers an object, or several if `parallel`, with its keys in either order."""
    # Hermes 2 writes the arguments first.
    one = call(rules, functions, either_order=True)
    several = f" (GAP {one})*" if parallel else ""
    return Calls({_OPEN: f"SPACE {one}{several} SPACE {rules.marker(_CLOSE)}"})


def _answer_text(message: Message) -> str:
    made = [spaced({"name": call.name, "arguments": call.arguments}) for call in calls(message)]
    return "\n".join([*filter(None, [message.content]), *(f"{_OPEN}\n{one}\n{_CLOSE}" for one in made)])


FAMILY = Family(
    variants=(
        Variant("hermes", tools=True, thinks=True),
        Variant("qwen3", tools=True),
        Variant("qwen3-thinking", tools=True, thinks=True),
        Variant("qwen3-vl-instruct", tools=True, renderer=Renderer(instruct, "tools", "think", "images")),
        Variant(
            "qwen3-vl-thinking",
            tools=True,
            thinks=True,
            renderer=Renderer(thinking, "tools", "think", "images"),
        ),
    ),
    evidence=(
        Evidence((_OPEN,), EvidenceRank.SHARED),
        Evidence(("<think>", "<|im_start|>"), EvidenceRank.REASONING),
    ),
    format=FORMAT,
    answer_text=_answer_text,
    constrain=after_markers(FORMAT, notation, names.IN_JSON),
)
