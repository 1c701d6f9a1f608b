"""Granite 3 and 4, and Phi-4-mini: `<|tool_call|>[{"name": …, "arguments": {…}}]`, or one in `<tool_call>`.

Reasoning is in `<think>`, and the answer after it may be in `<response>`.

Sources: the chat templates of ibm-granite's and microsoft's models; vLLM's granite tool parser; llama.cpp
common/chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call, call_list
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.lenient import LENIENT
from puna.chat.renderers.reading import calls
from puna.chat.renderers.tool_json import spaced
from puna.types import Message

FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>"),
    calls={
        "<|tool_call|>": json_calls("<|/tool_call|>"),
        "<tool_call>": json_calls("</tool_call>"),
    },
    bare=bare_objects,
    lenient=LENIENT,
    dropped=("<response>", "</response>"),
    spaced=True,
    special=frozenset(
        {"<|tool_call|>", "<|/tool_call|>", "<tool_call>", "</tool_call>", "<think>", "</think>"}
    ),
)


def notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    """A list after `<|tool_call|>`, or one call in `<tool_call>`."""
    one = call(rules, functions)
    many = call_list(one, parallel=parallel)
    return Calls(
        {
            "<|tool_call|>": f"SPACE {many} (SPACE {rules.marker('<|/tool_call|>')})?",
            "<tool_call>": f"SPACE {one} SPACE {rules.marker('</tool_call>')}",
        }
    )


def answer_text(message: Message) -> str:
    """An earlier answer with its calls."""
    made = [{"name": call.name, "arguments": call.arguments} for call in calls(message)]
    return f"{message.content}<|tool_call|>{spaced(made)}"


FAMILY = Family(
    variants=(Variant("granite", tools=True),),
    evidence=(Evidence(("<|tool_call|>",), EvidenceRank.ADAPTED),),
    format=FORMAT,
    answer_text=answer_text,
    constrain=after_markers(FORMAT, notation, names.IN_JSON),
)
