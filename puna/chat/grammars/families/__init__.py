"""How each family's calls are written, for the format that reads them.

Each module mirrors one in puna/chat/parsing/families, which names the format's source. To add a family, write
its module and name it here.
"""

from __future__ import annotations

from puna.chat.grammars.answer import Notation
from puna.chat.parsing.families.cohere import COHERE
from puna.chat.parsing.families.deepseek import DEEPSEEK
from puna.chat.parsing.families.gemma import FUNCTIONGEMMA, GEMMA4
from puna.chat.parsing.families.glm import GLM, LAGUNA
from puna.chat.parsing.families.granite import GRANITE
from puna.chat.parsing.families.hermes import HERMES
from puna.chat.parsing.families.lfm2 import LFM2
from puna.chat.parsing.families.llama3 import LLAMA3
from puna.chat.parsing.families.mistral import MISTRAL
from puna.chat.parsing.families.olmo3 import OLMO3
from puna.chat.parsing.families.plain import PLAIN
from puna.chat.parsing.families.qwen3_coder import QWEN3_CODER, QWEN35
from puna.chat.parsing.tagged import Tagged

from .cohere import cohere
from .deepseek import deepseek
from .gemma import functiongemma, gemma4
from .generic import generic
from .glm import glm
from .granite import granite
from .hermes import hermes
from .llama3 import llama3
from .mistral import mistral
from .python_calls import lfm2, olmo3
from .qwen3_coder import qwen3_coder

_NAME_IN_JSON = r"\S(?s:.*\S)?"
_NAME_IN_TAGS = r"[^<>\s]+"
_IDENTIFIER = r"\w[\w.-]*"
_PATH = r"[\w.:/-]+"

_NOTATIONS: list[tuple[Tagged, Notation, str]] = [
    (COHERE, cohere, _NAME_IN_JSON),
    (DEEPSEEK, deepseek, _PATH),
    (FUNCTIONGEMMA, functiongemma, _NAME_IN_TAGS),
    (GEMMA4, gemma4, _NAME_IN_TAGS),
    (GLM, glm, _IDENTIFIER),
    (GRANITE, granite, _NAME_IN_JSON),
    (HERMES, hermes, _NAME_IN_JSON),
    (LAGUNA, glm, _IDENTIFIER),
    (LFM2, lfm2, _IDENTIFIER),
    (LLAMA3, llama3, _IDENTIFIER),
    (MISTRAL, mistral, _PATH),
    (OLMO3, olmo3, _IDENTIFIER),
    (QWEN3_CODER, qwen3_coder, _NAME_IN_TAGS),
    (QWEN35, qwen3_coder, _NAME_IN_TAGS),
]


def notation_of(form: Tagged) -> tuple[Notation, str] | None:
    """The notation of a format's calls, and the names of functions that can be written in it."""
    if form is PLAIN:
        return None
    for known, notation, names in _NOTATIONS:
        if known is form:
            return notation, names
    return generic(form), _NAME_IN_JSON
