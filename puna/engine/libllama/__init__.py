"""libllama through llama-cpp-python's low-level bindings. No other package uses them, or ctypes.

Each class owns one native object. Token ids are ints, text is bytes, logits are float32 arrays that
stay valid until the next decode.
"""

from puna.engine.libllama.build import build
from puna.engine.libllama.context import POOL_FULL, Context, max_sequences
from puna.engine.libllama.model import LlamaModel
from puna.engine.libllama.quantizing import quantize
from puna.engine.libllama.sampler import Sampler

__all__ = ["POOL_FULL", "Context", "LlamaModel", "Sampler", "build", "max_sequences", "quantize"]
