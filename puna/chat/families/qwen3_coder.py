"""Qwen3-Coder: `<function=f><parameter=k>v</parameter></function>` in `<tool_call>`.

Sources: Ollama model/parsers/qwen3coder.go; llama.cpp common/chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.xml_functions import tagged_functions
from puna.chat.parsing import Tagged
from puna.chat.parsing.xml_functions import CALLS, FUNCTION
from puna.chat.renderers import Renderer
from puna.chat.renderers.qwen3_coder import qwen3_coder

_FORMAT = Tagged(calls=CALLS, special=frozenset({"<tool_call>", "</tool_call>"}))

FAMILY = Family(
    variants=(Variant("qwen3-coder", tools=True, renderer=Renderer(qwen3_coder, "tools")),),
    evidence=(Evidence((FUNCTION, "<parameter="), EvidenceRank.SHARED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, tagged_functions, names.IN_TAGS),
)
