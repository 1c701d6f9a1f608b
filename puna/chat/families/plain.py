"""Models that write only text.

Source: Ollama model/parsers/parsers.go, PassthroughParser.
"""

from __future__ import annotations

from puna.chat.family import Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Tagged

_FORMAT = Tagged()


FAMILY = Family(
    variants=(Variant("plain"), Variant("passthrough")),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
