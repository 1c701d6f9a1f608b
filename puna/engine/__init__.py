"""A process for each loaded model: libllama, the batch loop, the prefix tree, sampling, grammar, vectors.

`start` launches such a process; what it returns satisfies `puna.types.Engine`.
Only `llama.py` touches ctypes; the heavy imports happen in the engine process, not in the server.
"""

from puna.engine.process import EngineProcess, start

__all__ = ["EngineProcess", "start"]
