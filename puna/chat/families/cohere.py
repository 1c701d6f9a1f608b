"""Command R, Command A and North: `<|START_ACTION|>[{"tool_name": …, "parameters": {…}}]<|END_ACTION|>`.

Text is between `<|START_TEXT|>` or `<|START_RESPONSE|>` and its end. The first Command R writes `Action:` and
fenced JSON.

Sources: Ollama model/parsers/cohere.go; Cohere's Command R and R7B prompt pages; llama.cpp common/chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call, call_list
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import after, json_calls
from puna.chat.renderers import Renderer
from puna.chat.renderers.cohere import cohere

_NOTATION = (
    "<|START_TEXT|>",
    "<|END_TEXT|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
    "<|END_OF_TURN_TOKEN|>",
)

_FORMAT = Tagged(
    tags=ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),
    calls={
        "<|START_ACTION|>": json_calls("<|END_ACTION|>"),
        "Action:": after("```json", json_calls("```")),
    },
    dropped=_NOTATION,
    special=frozenset(
        {*_NOTATION[:4], "<|START_THINKING|>", "<|END_THINKING|>", "<|START_ACTION|>", "<|END_ACTION|>"}
    ),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    one = call(rules, functions, name="tool_name", keys=("parameters",), before="tool_call_id")
    body = call_list(one, parallel=parallel)
    return Calls(
        {
            "<|START_ACTION|>": f"SPACE {body} SPACE {rules.marker('<|END_ACTION|>')}",
            # "Action:" alone may also occur in text.
            "Action: ```json": f'SPACE {body} SPACE "```"',
        }
    )


FAMILY = Family(
    variants=(Variant("cohere", tools=True, thinks=True, renderer=Renderer(cohere, "tools", "think")),),
    evidence=(
        Evidence(("<|START_ACTION|>",)),
        Evidence(("Action:", "tool_name"), EvidenceRank.ADAPTED),
        Evidence(("<|START_THINKING|>",), EvidenceRank.REASONING),
    ),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_JSON),
)
