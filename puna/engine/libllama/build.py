"""Identifies libllama's build and its backends."""

from __future__ import annotations

import llama_cpp as C

from puna.engine.libllama.kernels import start_kernels


def build() -> str:
    """A digest of the build, because another build computes other numbers."""
    return f"llama-cpp-python {C.__version__}; {C.llama_print_system_info().decode()}; {start_kernels()}"
