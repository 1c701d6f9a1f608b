"""openPangu: `[unused11][{"name": …, "arguments": {…}}, …][unused12]`.

Version 2 has LFM2's tags instead.

Sources: the prompts of openPangu's agents (DeepDiver); vLLM's pangu tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.objects import list_between
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.lenient import LENIENT

OPEN, CLOSE = "[unused11]", "[unused12]"
_TAGS = ThinkingTags("[unused16]", "[unused17]")

_FORMAT = Tagged(
    tags=_TAGS,
    calls={OPEN: json_calls(CLOSE)},
    bare=bare_objects,
    lenient=LENIENT,
    special=frozenset({OPEN, CLOSE, _TAGS.open, _TAGS.close}),
)

FAMILY = Family(
    variants=(Variant("pangu", tools=True, thinks=True),),
    evidence=(Evidence((OPEN,)), Evidence(("[unused9]", "[unused10]"), EvidenceRank.TURNS)),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, list_between(OPEN, CLOSE), names.IN_JSON),
)
