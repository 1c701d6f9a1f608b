"""Native code for CPUs: matrix products, attention and token sampling in place of libllama's own.

It is compiled when Puna is installed, if there is a C++ compiler; `engine.libllama` loads it.
Where it is missing or does not fit, libllama computes and Python draws.
"""

from puna.kernels.building import build, library

__all__ = ["build", "library"]
