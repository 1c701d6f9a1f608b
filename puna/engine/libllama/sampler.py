"""How one answer's tokens are drawn."""

from __future__ import annotations

import ctypes
from typing import Any, cast

import llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama.model import Model
from puna.engine.shortlist import WIDTH, shortlist
from puna.types import Options


class Sampler:
    """One request's chain: penalties, truncation, temperature, and the draw."""

    def __init__(self, model: Model, options: Options, *, context: int) -> None:
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        # One array serves all: it is filled anew for each token, on the loop's thread.
        self._candidates = model.candidates
        self._ids = model.ids
        address = model.candidates.ctypes.data
        self._array: Any = C.llama_token_data_array(data=ctypes.cast(address, C.llama_token_data_p))
        self._shortlisted = 0
        last_n = context if options.repeat_last_n < 0 else min(options.repeat_last_n, context)
        repeat, frequency, presence = (
            options.repeat_penalty,
            options.frequency_penalty,
            options.presence_penalty,
        )
        self.penalised = last_n > 0 and (repeat != 1.0 or frequency != 0.0 or presence != 0.0)
        self.greedy = options.temperature <= 0 and not self.penalised
        seed = options.seed & 0xFFFFFFFF if options.seed >= 0 else C.LLAMA_DEFAULT_SEED
        if self.penalised:
            self._add(C.llama_sampler_init_penalties(model.n_vocab, last_n, repeat, frequency, presence))
        if options.temperature <= 0:
            self._add(C.llama_sampler_init_greedy())
        elif options.mirostat == 1:
            self._add(C.llama_sampler_init_temp(options.temperature))
            tau, eta = options.mirostat_tau, options.mirostat_eta
            self._add(C.llama_sampler_init_mirostat(model.n_vocab, seed, tau, eta, 100))
        elif options.mirostat == 2:
            self._add(C.llama_sampler_init_temp(options.temperature))
            self._add(C.llama_sampler_init_mirostat_v2(seed, options.mirostat_tau, options.mirostat_eta))
        else:
            if not self.penalised and 0 < options.top_k <= WIDTH <= model.n_vocab:
                self._shortlisted = options.top_k
            self._truncate(options)
            self._add(C.llama_sampler_init_temp(options.temperature))
            self._add(C.llama_sampler_init_dist(seed))

    def _truncate(self, options: Options) -> None:
        if options.top_k > 0:
            self._add(C.llama_sampler_init_top_k(options.top_k))
        if 0 < options.typical_p < 1:
            self._add(C.llama_sampler_init_typical(options.typical_p, 1))
        if options.top_p < 1:
            self._add(C.llama_sampler_init_top_p(options.top_p, 1))
        if options.min_p > 0:
            self._add(C.llama_sampler_init_min_p(options.min_p, 1))

    def _add(self, sampler: Any) -> None:
        C.llama_sampler_chain_add(self._chain, sampler)

    def accept(self, token: int) -> None:
        """Tell the penalties of a token that is part of the text."""
        if self.penalised:
            C.llama_sampler_accept(self._chain, token)

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Draw a token from `logits`, of which -inf marks what may not come; `accept` it if it is taken."""
        if self.greedy:
            return int(logits.argmax())
        ids, values = self._ids, logits
        if self._shortlisted:
            # The chain begins with top-k: to hand it those few takes a third of the time.
            ids = shortlist(logits, self._shortlisted)
            values = logits[ids]
        candidates = self._candidates[: len(ids)]
        candidates["id"] = ids
        candidates["logit"] = values
        array = self._array
        array.size, array.selected, array.sorted = len(ids), -1, False
        C.llama_sampler_apply(self._chain, cast(Any, ctypes.byref(array)))
        return int(candidates["id"][array.selected])

    def close(self) -> None:
        C.llama_sampler_free(self._chain)
