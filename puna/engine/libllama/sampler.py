"""Draws one answer's tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama.drawing import Draws
from puna.engine.libllama.model import LlamaModel
from puna.engine.libllama.sampler_chain import SamplerChain
from puna.engine.penalties import Penalties
from puna.options import Options


class Sampler:
    """One request's penalties and draws: in native code, or with libllama's samplers where there is none."""

    def __init__(self, model: LlamaModel, options: Options, *, context: int) -> None:
        self._penalties = Penalties(options, context=context)
        self.draws = Draws(model.drawing, options, self._penalties) if model.drawing else None
        self._chain = None if self.draws or options.temperature <= 0 else SamplerChain(options, model.n_vocab)
        self.drawn: int | None = None
        """The token that was drawn ahead."""

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
            token = self.draws.draw_one(logits.ctypes.data)
            return token if token >= 0 else int(logits.argmax())
        with self._penalties.over(logits):
            return self._chain.draw(logits) if self._chain else int(logits.argmax())

    def close(self) -> None:
        for owned in (self.draws, self._chain):
            if owned is not None:
                owned.close()
