"""Hy3-preview: Hy3's calls, with GLM's tags as they are.

Sources: the chat template of tencent/Hy3-preview; vLLM's hy_v3 tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank
from puna.chat.parsing.keyed import Keyed

from .hy3 import keyed_family

FAMILY = keyed_family(
    "hy3-preview",
    Keyed(separated=True),
    (Evidence(("<tool_sep>", "<arg_key>"), EvidenceRank.ADAPTED),),
)
