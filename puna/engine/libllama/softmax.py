"""Exponentials of logits with ggml's vector code, because NumPy has none for most processors."""

from __future__ import annotations

import ctypes

import numpy as np
from llama_cpp._ggml import libggml
from numpy.typing import NDArray

# ggml-cpu/vec.h; a library that hides what is not its API lacks it.
_soft_max = getattr(libggml, "ggml_vec_soft_max_f32", None)
if _soft_max is not None:
    _soft_max.restype = ctypes.c_double
    _soft_max.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_float]


def exponentials(
    values: NDArray[np.float32], peak: float, out: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    """exp(values - peak) in the first places of `out`, and their sum. `values` is contiguous."""
    found = out[: len(values)]
    if _soft_max is not None:
        return found, _soft_max(len(values), found.ctypes.data, values.ctypes.data, peak)
    np.exp(values - np.float32(peak), out=found)
    return found, float(found.sum())
