"""How each family's calls are written, for the format that reads them.

Each module mirrors one in puna/chat/parsing/families, which names the format's source. To add a family, write
its module and name it here.
"""

from __future__ import annotations

from puna.chat.grammars.answer import Notation
from puna.chat.parsing.families.apertus import APERTUS
from puna.chat.parsing.families.cohere import COHERE
from puna.chat.parsing.families.deepseek import DEEPSEEK
from puna.chat.parsing.families.deepseek_v32 import DEEPSEEK_V32
from puna.chat.parsing.families.gemma import FUNCTIONGEMMA, GEMMA4
from puna.chat.parsing.families.gigachat import GIGACHAT
from puna.chat.parsing.families.glm import GLM, LAGUNA
from puna.chat.parsing.families.granite import GRANITE
from puna.chat.parsing.families.hermes import ERNIE, HERMES
from puna.chat.parsing.families.hunyuan import HUNYUAN
from puna.chat.parsing.families.internlm import INTERNLM
from puna.chat.parsing.families.kimi_k2 import KIMI_K2
from puna.chat.parsing.families.lfm2 import LFM2
from puna.chat.parsing.families.llama3 import LLAMA3
from puna.chat.parsing.families.llama4 import LLAMA4
from puna.chat.parsing.families.minimax import MINIMAX
from puna.chat.parsing.families.mistral import MISTRAL
from puna.chat.parsing.families.nemotron_v2 import NEMOTRON_V2
from puna.chat.parsing.families.olmo3 import OLMO3
from puna.chat.parsing.families.phi4 import PHI4
from puna.chat.parsing.families.plain import PLAIN
from puna.chat.parsing.families.qwen3_coder import QWEN3_CODER, QWEN35
from puna.chat.parsing.families.seed_oss import SEED_OSS
from puna.chat.parsing.tagged import Tagged

from .cohere import cohere
from .deepseek import deepseek
from .gemma import functiongemma, gemma4
from .generic import generic
from .glm import glm
from .granite import granite
from .hermes import hermes
from .invoked import minimax
from .kimi_k2 import kimi_k2
from .listed import apertus, gigachat, hunyuan, internlm, nemotron_v2, phi4
from .llama3 import llama3
from .mistral import mistral
from .python_calls import lfm2, llama4, olmo3
from .qwen3_coder import qwen3_coder, seed_oss

_NAME_IN_JSON = r"\S(?s:.*\S)?"
_NAME_IN_TAGS = r"[^<>\s]+"
_NAME_IN_ATTRIBUTE = r'[^"<>\s](?:[^"<>\n]*[^"<>\s])?'
_IDENTIFIER = r"\w[\w.-]*"
_PATH = r"[\w.:/-]+"

_NOTATIONS: list[tuple[Tagged, Notation, str]] = [
    (APERTUS, apertus, _NAME_IN_JSON),
    (COHERE, cohere, _NAME_IN_JSON),
    (DEEPSEEK, deepseek, _PATH),
    (ERNIE, hermes, _NAME_IN_JSON),
    (FUNCTIONGEMMA, functiongemma, _NAME_IN_TAGS),
    (GEMMA4, gemma4, _NAME_IN_TAGS),
    (GIGACHAT, gigachat, _NAME_IN_JSON),
    (GLM, glm, _IDENTIFIER),
    (GRANITE, granite, _NAME_IN_JSON),
    (HERMES, hermes, _NAME_IN_JSON),
    (HUNYUAN, hunyuan, _NAME_IN_JSON),
    (INTERNLM, internlm, _NAME_IN_JSON),
    (KIMI_K2, kimi_k2, _IDENTIFIER),
    (LAGUNA, glm, _IDENTIFIER),
    (LFM2, lfm2, _IDENTIFIER),
    (LLAMA3, llama3, _IDENTIFIER),
    (LLAMA4, llama4, _IDENTIFIER),
    (MINIMAX, minimax, _NAME_IN_ATTRIBUTE),
    (MISTRAL, mistral, _PATH),
    (NEMOTRON_V2, nemotron_v2, _NAME_IN_JSON),
    (OLMO3, olmo3, _IDENTIFIER),
    (PHI4, phi4, _NAME_IN_JSON),
    (QWEN3_CODER, qwen3_coder, _NAME_IN_TAGS),
    (QWEN35, qwen3_coder, _NAME_IN_TAGS),
    (SEED_OSS, seed_oss, _NAME_IN_TAGS),
]


def notation_of(form: Tagged) -> tuple[Notation, str] | None:
    """The notation of a format's calls, and the names of functions that can be written in it; None if there
    is none that a grammar could hold."""
    if form in (PLAIN, DEEPSEEK_V32):
        return None
    for known, notation, names in _NOTATIONS:
        if known is form:
            return notation, names
    return generic(form), _NAME_IN_JSON
