"""Qwen 3.5, Nemotron 3 Nano and Ornith: Qwen3-Coder's calls after reasoning in `<think>`.

Sources: Ollama model/parsers/qwen35.go and nemotron3nano.go; llama.cpp common/chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.xml_functions import tagged_functions
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.xml_functions import CALLS, FUNCTION
from puna.chat.renderers import Renderer
from puna.chat.renderers.nemotron3 import nemotron3, nemotron3_5
from puna.chat.renderers.qwen3_5 import ornith, qwen3_5, qwen3_8

_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls=CALLS,
    special=frozenset({"<tool_call>", "</tool_call>", "<think>", "</think>"}),
)
_READS = ("tools", "think", "images")

FAMILY = Family(
    variants=(
        Variant("qwen3.5", tools=True, thinks=True, renderer=Renderer(qwen3_5, *_READS)),
        Variant("qwen3.8", tools=True, thinks=True, renderer=Renderer(qwen3_8, *_READS)),
        Variant("ornith", tools=True, thinks=True, renderer=Renderer(ornith, *_READS)),
        Variant(
            "nemotron-3-nano",
            tools=True,
            thinks=True,
            renderer=Renderer(nemotron3, *_READS),
            architectures=("nemotron_h", "nemotron_h_moe", "nemotron_h_omni"),
        ),
        Variant("nemotron-3.5-nano", tools=True, thinks=True, renderer=Renderer(nemotron3_5, *_READS)),
    ),
    evidence=(Evidence((FUNCTION, "<think>"), EvidenceRank.ADAPTED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, tagged_functions, names.IN_TAGS),
)
