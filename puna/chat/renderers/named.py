"""Which name means which renderer (Ollama model/renderers/renderer.go, and four of our own)."""

from __future__ import annotations

from puna.chat.prompt import Template
from puna.types import BadRequest

from .cogito import cogito
from .cohere import cohere
from .deepseek3 import deepseek3
from .family import Family
from .functiongemma import functiongemma
from .gemma4 import large as gemma4_large
from .gemma4 import small as gemma4_small
from .glimmer import glimmer
from .glm import glm4_6, glm4_7, glm_ocr
from .harmony import harmony
from .laguna import laguna, poolside_v1
from .lfm2 import lfm2, lfm2_thinking
from .ministral import ministral
from .nemotron3 import nemotron3, nemotron3_5
from .olmo3 import olmo3, olmo3_1, olmo3_32b_think, olmo3_think
from .qwen3_5 import ornith, qwen3_5, qwen3_8
from .qwen3_coder import qwen3_coder
from .qwen3_vl import instruct as qwen3_vl_instruct
from .qwen3_vl import thinking as qwen3_vl_thinking

_TOOLS = frozenset(["tools"])
_THINK = frozenset(["think"])
_BOTH = _TOOLS | _THINK
_IMAGES = frozenset(["images"])

_RENDERERS: dict[str, Template] = {
    "cogito": Family(cogito, _BOTH),
    "cohere": Family(cohere, _BOTH),
    "deepseek3.1": Family(deepseek3, _BOTH),
    "functiongemma": Family(functiongemma, _TOOLS),
    "gemma4": Family(gemma4_small, _BOTH | _IMAGES),
    "gemma4-large": Family(gemma4_large, _BOTH | _IMAGES),
    "gemma4-small": Family(gemma4_small, _BOTH | _IMAGES),
    "glimmer": Family(glimmer, _BOTH | _IMAGES),
    "glm-4.6": Family(glm4_6, _BOTH),
    "glm-4.7": Family(glm4_7, _BOTH),
    "glm-ocr": Family(glm_ocr, _BOTH | _IMAGES),
    "gpt-oss": Family(harmony, _BOTH),
    "harmony": Family(harmony, _BOTH),
    "laguna": Family(laguna, _BOTH),
    "lfm2": Family(lfm2, _TOOLS | _IMAGES),
    "lfm2-thinking": Family(lfm2_thinking, _BOTH | _IMAGES),
    "ministral": Family(ministral, _BOTH | _IMAGES),
    "nemotron-3-nano": Family(nemotron3, _BOTH | _IMAGES),
    "nemotron-3.5-nano": Family(nemotron3_5, _BOTH | _IMAGES),
    "olmo3": Family(olmo3, _TOOLS),
    "olmo3-32b-think": Family(olmo3_32b_think, _THINK),
    "olmo3-think": Family(olmo3_think, _THINK),
    "olmo3.1": Family(olmo3_1, _TOOLS),
    "ornith": Family(ornith, _BOTH | _IMAGES),
    "poolside-v1": Family(poolside_v1, _BOTH),
    "qwen3-coder": Family(qwen3_coder, _TOOLS),
    "qwen3-vl-instruct": Family(qwen3_vl_instruct, _BOTH | _IMAGES),
    "qwen3-vl-thinking": Family(qwen3_vl_thinking, _BOTH | _IMAGES),
    "qwen3.5": Family(qwen3_5, _BOTH | _IMAGES),
    "qwen3.8": Family(qwen3_8, _BOTH | _IMAGES),
}


def renderer(name: str) -> Template:
    """The renderer a Modelfile names (Ollama's names, and "glm-4.6", "gpt-oss", "harmony", "ministral").

    Raises BadRequest for a name that is none.
    """
    if name not in _RENDERERS:
        raise BadRequest(f'unknown renderer "{name}"')
    return _RENDERERS[name]
