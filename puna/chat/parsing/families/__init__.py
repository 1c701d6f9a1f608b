"""How each family's models write their answers, by the name a Modelfile's PARSER gives it.

One module a family, its format's source in the docstring. To add one, write its module and name it here.
"""

from __future__ import annotations

from puna.chat.parsing.stream import Format

from .apertus import APERTUS
from .cohere import COHERE
from .deepseek import DEEPSEEK
from .deepseek_v32 import DEEPSEEK_V32
from .gemma import FUNCTIONGEMMA, GEMMA4
from .gigachat import GIGACHAT
from .glimmer import GLIMMER
from .glm import GLM, LAGUNA
from .granite import GRANITE
from .harmony import HARMONY
from .hermes import ERNIE, HERMES
from .hunyuan import HUNYUAN
from .internlm import INTERNLM
from .kimi_k2 import KIMI_K2
from .lfm2 import LFM2
from .llama3 import LLAMA3
from .llama4 import LLAMA4
from .minimax import MINIMAX
from .mistral import MISTRAL
from .nemotron_v2 import NEMOTRON_V2
from .olmo3 import OLMO3
from .phi4 import PHI4
from .plain import PLAIN
from .qwen3_coder import QWEN3_CODER, QWEN35
from .seed_oss import SEED_OSS

FAMILIES: dict[str, Format] = {
    "apertus": APERTUS,
    "cogito": DEEPSEEK,
    "cohere": COHERE,
    "deepseek": DEEPSEEK,
    "deepseek3": DEEPSEEK,
    "deepseek3.1": DEEPSEEK,
    "deepseek3.2": DEEPSEEK_V32,
    "ernie": ERNIE,
    "functiongemma": FUNCTIONGEMMA,
    "gemma4": GEMMA4,
    "gemma4-large": GEMMA4,
    "gemma4-no-thinking": GEMMA4,
    "gemma4-small": GEMMA4,
    "gigachat": GIGACHAT,
    "glimmer": GLIMMER,
    "glm": GLM,
    "glm-4.6": GLM,
    "glm-4.7": GLM,
    "glm-ocr": GLM,
    "gpt-oss": HARMONY,
    "granite": GRANITE,
    "harmony": HARMONY,
    "hermes": HERMES,
    "hunyuan": HUNYUAN,
    "internlm": INTERNLM,
    "kimi-k2": KIMI_K2,
    "laguna": LAGUNA,
    "lfm2": LFM2,
    "lfm2-thinking": LFM2,
    "llama3": LLAMA3,
    "llama4": LLAMA4,
    "minimax-m2": MINIMAX,
    "ministral": MISTRAL,
    "mistral": MISTRAL,
    "nemotron-3-nano": QWEN35,
    "nemotron-3.5-nano": QWEN35,
    "nemotron-nano-v2": NEMOTRON_V2,
    "olmo3": OLMO3,
    "olmo3-32b-think": OLMO3,
    "olmo3-think": OLMO3,
    "olmo3.1": OLMO3,
    "ornith": QWEN35,
    "passthrough": PLAIN,
    "phi4-mini": PHI4,
    "plain": PLAIN,
    "poolside-v1": LAGUNA,
    "qwen3": HERMES,
    "qwen3-coder": QWEN3_CODER,
    "qwen3-thinking": HERMES,
    "qwen3-vl-instruct": HERMES,
    "qwen3-vl-thinking": HERMES,
    "qwen3.5": QWEN35,
    "qwen3.8": QWEN35,
    "seed-oss": SEED_OSS,
}
