"""A process for each loaded model: libllama, the batch loop, the prefix tree, sampling, grammar, vectors.

`start` launches such a process; what it returns satisfies `puna.types.Engine`.
`quantize` stores a model's weights in fewer bits, in a process of its own too.
Only `libllama` and `foreign/header.py` touch ctypes; heavy imports happen in the engine process alone.
"""

from puna.engine.process import EngineProcess, start
from puna.engine.quantize import quantization, quantize

__all__ = ["EngineProcess", "quantization", "quantize", "start"]
