"""A BERT classifier in plain NumPy, fed from a GGUF file: Devlin et al. 2018, Hugging Face's pair form."""

from __future__ import annotations

from math import erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader

Array = np.ndarray[Any, Any]

_CLS, _SEP, _FIRST = 2, 3, 5
_LETTERS = 0x7F - 0x21
_EPSILON = 1e-12
_HEADS = 2
_LAYERS = 2
_gelu = np.vectorize(lambda x: x / 2 * (1 + erf(x / sqrt(2))))


class Reference:
    """The model that `tests.models.embedding_model(…, classifier=True)` wrote to `path`."""

    def __init__(self, path: Path) -> None:
        self._weights = {tensor.name: np.array(tensor.data) for tensor in GGUFReader(path).tensors}

    def relevance(self, query: str, document: str) -> float:
        tokens = [_CLS, *_spelled(query), _SEP, *_spelled(document), _SEP]
        w = self._weights
        x = w["token_embd.weight"][tokens] + w["position_embd.weight"][: len(tokens)]
        x = self._norm(x + w["token_types.weight"][0], "token_embd_norm")
        for block in (f"blk.{number}" for number in range(_LAYERS)):
            mixed = self._linear(self._attention(x, block), f"{block}.attn_output")
            x = self._norm(x + mixed, f"{block}.attn_output_norm")
            inner = _gelu(self._linear(x, f"{block}.ffn_up"))
            x = self._norm(x + self._linear(inner, f"{block}.ffn_down"), f"{block}.layer_output_norm")
        logit = self._linear(np.tanh(self._linear(x[0], "cls")), "cls.output")
        return float(1 / (1 + np.exp(-logit[0])))

    def _attention(self, x: Array, block: str) -> Array:
        q, k, v = (
            self._linear(x, f"{block}.attn_{part}").reshape(len(x), _HEADS, -1).transpose(1, 0, 2)
            for part in "qkv"
        )
        weights = np.exp(q @ k.transpose(0, 2, 1) / sqrt(q.shape[-1]))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ v).transpose(1, 0, 2).reshape(x.shape)

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + _EPSILON)
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _spelled(text: str) -> list[int]:
    """The word pieces of lower-case letters: a word's first is marked, so the two kinds lie apart."""
    return [
        _FIRST + (0 if place == 0 else _LETTERS) + ord(letter) - 0x21
        for word in text.split()
        for place, letter in enumerate(word)
    ]
