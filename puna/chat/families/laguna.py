"""Laguna: GLM's calls, which it also writes as `<user>f…</user>`, and reasoning anywhere in its answer.

Source: Ollama model/parsers/laguna.go.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.keyed import keyed_notation
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import bare_objects
from puna.chat.parsing.keyed import Keyed
from puna.chat.parsing.lenient import BARE
from puna.chat.renderers import Renderer
from puna.chat.renderers.laguna import laguna, poolside_v1

from .glm import SPECIAL, TAGS

_USER = Keyed("user")

_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", anywhere=True, calls_end_it=True),
    calls={TAGS.open: TAGS.calls()},
    bare=bare_objects,
    lenient={**BARE, _USER.open: _USER.calls(declared=True)},
    special=SPECIAL | {_USER.open, _USER.end},
)

FAMILY = Family(
    variants=(
        Variant(
            "laguna",
            tools=True,
            thinks=True,
            renderer=Renderer(laguna, "tools", "think"),
            architectures=("laguna",),
        ),
        Variant("poolside-v1", tools=True, thinks=True, renderer=Renderer(poolside_v1, "tools", "think")),
    ),
    evidence=(Evidence(("<arg_key>", "<user>"), EvidenceRank.ADAPTED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, keyed_notation, names.IDENTIFIER),
)
