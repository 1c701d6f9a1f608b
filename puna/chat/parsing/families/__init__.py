"""How each family's models write their answers, by the name a Modelfile's PARSER gives it.

One module a family, its format's source in the docstring. To add one, write its module and name it here.
"""

from __future__ import annotations

from puna.chat.parsing.stream import Format

from .cohere import COHERE
from .deepseek import DEEPSEEK
from .gemma import FUNCTIONGEMMA, GEMMA4
from .glimmer import GLIMMER
from .glm import GLM, LAGUNA
from .granite import GRANITE
from .harmony import HARMONY
from .hermes import HERMES
from .lfm2 import LFM2
from .llama3 import LLAMA3
from .mistral import MISTRAL
from .olmo3 import OLMO3
from .plain import PLAIN
from .qwen3_coder import QWEN3_CODER, QWEN35

FAMILIES: dict[str, Format] = {
    "cogito": DEEPSEEK,
    "cohere": COHERE,
    "deepseek": DEEPSEEK,
    "deepseek3": DEEPSEEK,
    "deepseek3.1": DEEPSEEK,
    "functiongemma": FUNCTIONGEMMA,
    "gemma4": GEMMA4,
    "gemma4-large": GEMMA4,
    "gemma4-no-thinking": GEMMA4,
    "gemma4-small": GEMMA4,
    "glimmer": GLIMMER,
    "glm": GLM,
    "glm-4.6": GLM,
    "glm-4.7": GLM,
    "glm-ocr": GLM,
    "gpt-oss": HARMONY,
    "granite": GRANITE,
    "harmony": HARMONY,
    "hermes": HERMES,
    "laguna": LAGUNA,
    "lfm2": LFM2,
    "lfm2-thinking": LFM2,
    "llama3": LLAMA3,
    "ministral": MISTRAL,
    "mistral": MISTRAL,
    "nemotron-3-nano": QWEN35,
    "nemotron-3.5-nano": QWEN35,
    "olmo3": OLMO3,
    "olmo3-32b-think": OLMO3,
    "olmo3-think": OLMO3,
    "olmo3.1": OLMO3,
    "ornith": QWEN35,
    "passthrough": PLAIN,
    "plain": PLAIN,
    "poolside-v1": LAGUNA,
    "qwen3": HERMES,
    "qwen3-coder": QWEN3_CODER,
    "qwen3-thinking": HERMES,
    "qwen3-vl-instruct": HERMES,
    "qwen3-vl-thinking": HERMES,
    "qwen3.5": QWEN35,
    "qwen3.8": QWEN35,
}
