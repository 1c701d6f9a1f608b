"""Gemma 4: `<|tool_call>call:f{k:v,…}<tool_call|>`, reasoning on its own channel.

Sources: Ollama model/parsers/gemma4.go; Google's Gemma 4 prompt page. The size decides between two prompts
(Ollama server/renderer_resolution.go).
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars import gemma_calls as written
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.gemma_calls import gemma_calls, unmarked_calls
from puna.chat.renderers import Renderer
from puna.chat.renderers.gemma4 import large, small

_OPEN, _CLOSE, _QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'

_FORMAT = Tagged(
    tags=ThinkingTags("<|channel>", "<channel|>", name="thought\n", anywhere=True, calls_end_it=True),
    calls={_OPEN: gemma_calls(_CLOSE, _QUOTE)},
    lenient={"call:": unmarked_calls(_CLOSE, _QUOTE)},
    dropped=("<channel|>",),
    special=frozenset({"<|channel>", "<channel|>", _OPEN, _CLOSE, "<|tool_response>", _QUOTE}),
)
_READS = ("tools", "think", "images")
_SMALL, _LARGE = Renderer(small, *_READS), Renderer(large, *_READS)
_LARGE_FROM = 12_000_000_000  # parameters

FAMILY = Family(
    variants=(
        Variant(
            "gemma4",
            tools=True,
            thinks=True,
            renderer=_SMALL,
            large=(_LARGE_FROM, _LARGE),
            architectures=("gemma4",),
        ),
        Variant("gemma4-small", tools=True, thinks=True, renderer=_SMALL),
        Variant("gemma4-large", tools=True, thinks=True, renderer=_LARGE),
        Variant("gemma4-no-thinking", tools=True),
    ),
    evidence=(Evidence((_OPEN,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, written.gemma_calls(_OPEN, _CLOSE, _QUOTE), names.IN_TAGS),
)
