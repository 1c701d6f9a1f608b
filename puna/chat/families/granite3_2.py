"""Granite 3.2: Granite's calls, after reasoning between two sentences.

Sources: the chat template of ibm-granite's 3.2 models; vLLM's granite reasoning parser.
"""

from __future__ import annotations

from dataclasses import replace

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.parsing import ThinkingTags

from . import granite

_TAGS = ThinkingTags("Here is my thought process:", "Here is my response:")
_FORMAT = replace(granite.FORMAT, tags=_TAGS)

FAMILY = Family(
    variants=(Variant("granite3.2", tools=True, thinks=True),),
    evidence=(Evidence((_TAGS.open,)),),
    format=_FORMAT,
    answer_text=granite.answer_text,
    constrain=after_markers(_FORMAT, granite.notation, names.IN_JSON),
)
