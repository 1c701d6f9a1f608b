"""Models that write nothing but text."""

from __future__ import annotations

from puna.chat.family import Family, Variant
from puna.chat.grammars import behind_markers
from puna.chat.parsing.tagged import Tagged

_FORMAT = Tagged()


FAMILY = Family(
    variants=(Variant("plain"), Variant("passthrough")),
    format=_FORMAT,
    constrain=behind_markers(_FORMAT),
)
