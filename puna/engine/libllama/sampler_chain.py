"""Draws tokens with libllama's samplers, on machines without native code."""

from __future__ import annotations

import ctypes
from typing import Any, cast

import llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from puna.options import Options

_LEAST = 100.0
"""How far below the peak a token still has a probability in single precision.

libllama's typical_p takes the logarithm of the others' 0, and then keeps tokens at random.
"""

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class SamplerChain:
    """One request's truncation, temperature and draw, in the order of llama.cpp."""

    def __init__(self, options: Options, n_vocab: int) -> None:
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        self._width = float("inf")
        """How far below the peak candidates may be."""
        o = options
        seed = o.seed & 0xFFFFFFFF if o.seed >= 0 else C.LLAMA_DEFAULT_SEED
        if o.mirostat in (1, 2):
            self._add(C.llama_sampler_init_temp(o.temperature))
            if o.mirostat == 1:
                self._add(C.llama_sampler_init_mirostat(n_vocab, seed, o.mirostat_tau, o.mirostat_eta, 100))
            else:
                self._add(C.llama_sampler_init_mirostat_v2(seed, o.mirostat_tau, o.mirostat_eta))
            return
        if o.top_k > 0:
            self._add(C.llama_sampler_init_top_k(o.top_k))
        if 0 < o.typical_p < 1:
            self._width = _LEAST
            self._add(C.llama_sampler_init_typical(o.typical_p, 1))
        if o.top_p < 1:
            self._add(C.llama_sampler_init_top_p(o.top_p, 1))
        if o.min_p > 0:
            self._add(C.llama_sampler_init_min_p(o.min_p, 1))
        self._add(C.llama_sampler_init_temp(o.temperature))
        self._add(C.llama_sampler_init_dist(seed))

    def _add(self, sampler: Any) -> None:
        C.llama_sampler_chain_add(self._chain, sampler)

    def draw(self, logits: NDArray[np.float32]) -> int:
        """A token, forbidden only if all are."""
        peak = logits.max()
        if not np.isfinite(peak):
            return int(logits.argmax())
        ids = np.flatnonzero(logits >= peak - self._width)
        candidates = np.empty(len(ids), _CANDIDATE)
        candidates["id"], candidates["logit"] = ids, logits[ids]
        data = ctypes.cast(candidates.ctypes.data, C.llama_token_data_p)
        array: Any = C.llama_token_data_array(data=data, size=len(ids), selected=-1, sorted=False)
        C.llama_sampler_apply(self._chain, cast(Any, ctypes.byref(array)))
        return int(candidates["id"][array.selected])

    def close(self) -> None:
        C.llama_sampler_free(self._chain)
