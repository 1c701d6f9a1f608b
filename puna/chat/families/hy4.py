"""Hy4-preview: Hy3's calls, with another suffix and nothing after the function's name.

Sources: vLLM's hy_v4 tool parser; SGLang's hy_v4 detector.
"""

from __future__ import annotations

from puna.chat.family import Evidence
from puna.chat.parsing.keyed import Keyed

from .hy3 import keyed_family

_SUFFIX = ":6124c78e"

FAMILY = keyed_family("hy4", Keyed(suffix=_SUFFIX), (Evidence((_SUFFIX,)),))
