"""Draws one answer's tokens."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import Any, cast

import llama_cpp as C
import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama.drawing import Draws
from puna.engine.libllama.model import LlamaModel
from puna.engine.libllama.wide import WideDraw
from puna.engine.penalties import Penalties
from puna.engine.shortlist import WIDTH, Peaks, shortlist
from puna.options import Options

_ROUNDED = 1e-3
"""How much lower min_p's bound is here, so that the chain decides border cases."""

_LEAST = 100.0
"""How far below the peak a token still has a probability in single precision. Of one that has none
libllama's typical_p takes the logarithm, and then keeps tokens at random."""

Ids = NDArray[np.intp] | NDArray[np.int32]


class Sampler:
    """One request's penalties, and its chain: truncation, temperature, and the draw.

    A chain takes microseconds for a few hundred candidates and milliseconds for a vocabulary. So candidates
    that its first truncation would remove are removed before, by the same rule.
    """

    def __init__(self, model: LlamaModel, options: Options, *, context: int) -> None:
        self._chain = C.llama_sampler_chain_init(C.llama_sampler_chain_default_params())
        # All samplers share one array: it is refilled for each token, on the loop's thread.
        self._candidates = model.candidates
        self._ids = model.ids
        address = model.candidates.ctypes.data
        self._array: Any = C.llama_token_data_array(data=ctypes.cast(address, C.llama_token_data_p))
        self._options = options
        self._penalties = Penalties(options, context=context)
        self._cut: Callable[[NDArray[np.float32]], Ids] = self._all
        self._wide: WideDraw | None = None
        """Draws instead of the chain."""
        self.draws: Draws | None = None
        """Draws instead of both, in native code."""
        self.drawn: int | None = None
        """The token that was drawn ahead."""
        self.greedy = options.temperature <= 0
        if model.drawing is None:
            self._make_chain(model, options)
        else:
            self.draws = Draws(model.drawing, options, self._penalties)

    def _make_chain(self, model: LlamaModel, options: Options) -> None:
        seed = options.seed & 0xFFFFFFFF if options.seed >= 0 else C.LLAMA_DEFAULT_SEED
        if self.greedy:
            return
        if options.mirostat in (1, 2):
            self._add(C.llama_sampler_init_temp(options.temperature))
            tau, eta = options.mirostat_tau, options.mirostat_eta
            if options.mirostat == 1:
                self._add(C.llama_sampler_init_mirostat(model.n_vocab, seed, tau, eta, 100))
            else:
                self._add(C.llama_sampler_init_mirostat_v2(seed, tau, eta))
        elif _is_wide(options):
            self._wide = WideDraw(options, model.exponentials)
        else:
            self._truncate(options, model.n_vocab)
            self._add(C.llama_sampler_init_temp(options.temperature))
            self._add(C.llama_sampler_init_dist(seed))

    def _truncate(self, options: Options, n_vocab: int) -> None:
        typical = 0 < options.typical_p < 1
        if 0 < options.top_k <= WIDTH <= n_vocab:
            self._cut = self._highest
        elif typical:  # libllama's entropy is not a number where a token has no probability
            self._cut = self._possible
        elif options.top_k <= 0:
            self._cut = self._near_peak
        if options.top_k > 0:
            self._add(C.llama_sampler_init_top_k(options.top_k))
        if typical:
            self._add(C.llama_sampler_init_typical(options.typical_p, 1))
        if options.top_p < 1:
            self._add(C.llama_sampler_init_top_p(options.top_p, 1))
        if options.min_p > 0:
            self._add(C.llama_sampler_init_min_p(options.min_p, 1))

    def _add(self, sampler: Any) -> None:
        C.llama_sampler_chain_add(self._chain, sampler)

    def accept(self, token: int) -> None:
        """Count a token of the text for the penalties."""
        self._penalties.accept(token)

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Draw a token from `logits`, where -inf marks forbidden tokens; `accept` the token if it is used.

        During the call, `logits` include the penalties.
        """
        if self.drawn is not None:
            token, self.drawn = self.drawn, None
            return token
        if self.draws is not None:
            token = self.draws.one(logits.ctypes.data)
            return token if token >= 0 else int(logits.argmax())
        if not self._penalties.active:
            return self._draw(logits)
        with self._penalties.over(logits):
            return self._draw(logits)

    def _draw(self, logits: NDArray[np.float32]) -> int:
        if self.greedy:
            return int(logits.argmax())
        if self._wide is not None:
            return self._wide.draw(logits)
        ids = self._cut(logits)
        candidates = self._candidates[: len(ids)]
        candidates["id"] = ids
        candidates["logit"] = logits if ids is self._ids else logits[ids]
        array = self._array
        array.size, array.selected, array.sorted = len(ids), -1, False
        C.llama_sampler_apply(self._chain, cast(Any, ctypes.byref(array)))
        return int(candidates["id"][array.selected])

    # The chain's candidates

    def _all(self, logits: NDArray[np.float32]) -> Ids:
        return self._ids

    def _highest(self, logits: NDArray[np.float32]) -> Ids:
        return shortlist(logits, self._options.top_k)

    def _near_peak(self, logits: NDArray[np.float32]) -> Ids:
        peaks = Peaks(logits)
        peak = float(peaks.highest)
        return peaks.reaching(min(peak, peak + math.log(self._options.min_p) - _ROUNDED))

    def _possible(self, logits: NDArray[np.float32]) -> Ids:
        return np.flatnonzero(logits >= logits.max() - _LEAST)

    def close(self) -> None:
        if self.draws is not None:
            self.draws.close()
        C.llama_sampler_free(self._chain)


def _is_wide(options: Options) -> bool:
    """Whether many candidates may remain: neither top_k nor another option makes them few."""
    return options.top_k <= 0 and not 0 < options.typical_p < 1 and (options.top_p < 1 or options.min_p <= 0)
