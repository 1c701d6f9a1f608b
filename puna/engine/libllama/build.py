"""Which libllama this is, and what computes in it."""

from __future__ import annotations

import llama_cpp as C

from puna.engine.libllama.kernels import start_kernels


def build() -> str:
    """Numbers that another build has computed differ from ours."""
    return f"llama-cpp-python {C.__version__}; {C.llama_print_system_info().decode()}; {start_kernels()}"
