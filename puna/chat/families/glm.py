"""GLM 4.5 to 4.7, GLM-OCR: `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`.

Sources: Ollama model/parsers/glm46.go, glm47.go and glmocr.go; the chat templates of zai-org's models.
"""

from __future__ import annotations

from puna.chat.family import Evidence, EvidenceRank, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.keyed import keyed_notation
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.keyed import Keyed
from puna.chat.renderers import Renderer
from puna.chat.renderers.glm import glm4_6, glm4_7, glm_ocr

TAGS = Keyed()
SPECIAL = TAGS.special | {"<think>", "</think>"}
_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={TAGS.open: TAGS.calls()},
    special=SPECIAL,
)


FAMILY = Family(
    variants=(
        Variant("glm", tools=True, thinks=True),
        Variant("glm-4.6", tools=True, thinks=True, renderer=Renderer(glm4_6, "tools", "think")),
        Variant("glm-4.7", tools=True, thinks=True, renderer=Renderer(glm4_7, "tools", "think")),
        Variant("glm-ocr", tools=True, renderer=Renderer(glm_ocr, "tools", "think", "images")),
    ),
    evidence=(Evidence(("<arg_key>",), EvidenceRank.ADAPTED),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, keyed_notation, names.IDENTIFIER),
)
