"""ERNIE 4.5: the calls of Hermes, and the answer in `<response>`.

Sources: the chat templates of Baidu's models; vLLM's ernie45 parsers.
"""

from __future__ import annotations

from dataclasses import replace

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import after_markers, names

from . import hermes

_FORMAT = replace(hermes.FORMAT, dropped=("<response>", "</response>"), spaced=True)

FAMILY = Family(
    variants=(Variant("ernie", tools=True, thinks=True),),
    evidence=(Evidence(("<response>", "<tool_call>"), EvidenceRank.SHARED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, hermes.notation, names.IN_JSON),
)
