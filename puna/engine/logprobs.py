"""Log-probabilities from logits, and a request's logit bias."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from puna.errors import BadRequest
from puna.types import TokenLogprob

_BLOCK = 64


class Bias:
    """A request's logit_bias. Raises BadRequest for a token that does not exist."""

    def __init__(self, bias: dict[int, float], n_vocab: int) -> None:
        if unknown := [token for token in bias if not 0 <= token < n_vocab]:
            raise BadRequest(
                f"logit_bias names the token {unknown[0]}, which this model does not have", "bias"
            )
        self._ids = np.fromiter(bias.keys(), np.intp, len(bias))
        self._values = np.fromiter(bias.values(), np.float32, len(bias))

    def apply(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """A copy of `logits` with the bias."""
        logits = logits.copy()
        logits[self._ids] += self._values
        return logits


def report(logits: NDArray[np.float32], token: int, most: int, spell: Callable[[int], bytes]) -> TokenLogprob:
    """The log-probabilities of `token` and of the `most` likeliest tokens, under the softmax of `logits`.

    `spell` returns a token's bytes, also of control tokens.
    """
    peak = logits.max()
    total = float(peak) + float(np.log(np.exp(logits - peak).sum()))

    def of(token: int) -> TokenLogprob:
        data = spell(token)
        # JSON has no -inf; -9999 means impossible.
        logprob = max(float(logits[token]) - total, -9999.0)
        return TokenLogprob(data.decode("utf-8", "replace"), logprob, list(data))

    drawn, likeliest = of(token), [of(likely) for likely in _likeliest(logits, most)]
    return TokenLogprob(drawn.token, drawn.logprob, drawn.bytes, likeliest)


def _likeliest(logits: NDArray[np.float32], most: int) -> list[int]:
    """The `most` likeliest tokens, the first of equals."""
    if not most:
        return []
    # At least `most` tokens reach a bound that `most` blocks reach; few more do.
    peaks = np.maximum.reduceat(logits, np.arange(0, len(logits), _BLOCK))
    bound = np.partition(peaks, -most)[-most] if most <= len(peaks) else -np.inf
    likely = np.flatnonzero(logits >= bound).tolist()
    return sorted(likely, key=lambda one: (-logits[one], one))[:most]
