"""Native code for CPUs: matrix products and attention in place of libllama's own, and the drawing of tokens.

It is compiled when Puna is installed, if there is a C++ compiler; `engine.libllama` loads it.
Where it is missing or does not fit, libllama computes as it does anyway, and Python draws.
"""

from puna.kernels.building import build, library

__all__ = ["build", "library"]
