"""An independent BERT sentence encoder: the `tokenizers` package and a plain NumPy forward pass in float32.

Written from the paper (Devlin et al. 2018) and sentence-transformers' mean pooling, sharing nothing with
`puna.library`, so that a mistake in the conversion cannot hide in both.
"""

from __future__ import annotations

import json
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

Array = np.ndarray[Any, Any]


def _erf(x: Array) -> Array:
    """Abramowitz and Stegun 7.1.26: off by at most 1.5e-7, which is float32's own precision."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - series * np.exp(-x * x))


class Reference:
    """The model in `folder`; `embed_tokens(tokens(text))` is a text's vector, of length 1."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.layers: int = config["num_hidden_layers"]
        self.heads: int = config["num_attention_heads"]
        self.epsilon: float = config["layer_norm_eps"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        blob = (folder / "model.safetensors").read_bytes()
        start = 8 + int.from_bytes(blob[:8], "little")
        header = json.loads(blob[8:start])
        self.weights: dict[str, Array] = {}
        for name, entry in header.items():
            if name != "__metadata__" and entry["dtype"] == "F32":
                begin, end = entry["data_offsets"]
                flat = np.frombuffer(blob[start + begin : start + end], "<f4")
                self.weights[name] = flat.reshape(entry["shape"])

    def tokens(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def embed_tokens(self, ids: list[int]) -> Array:
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = x + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(self.layers):
            at = f"encoder.layer.{layer}"
            q, k, v = (
                self._split(self._linear(x, f"{at}.attention.self.{n}")) for n in ("query", "key", "value")
            )
            scores = q @ k.transpose(0, 2, 1) / sqrt(q.shape[-1])
            attention = np.exp(scores - scores.max(-1, keepdims=True))
            attention /= attention.sum(-1, keepdims=True)
            mixed = (attention @ v).transpose(1, 0, 2).reshape(x.shape)
            x = self._norm(
                x + self._linear(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
            )
            inner = self._linear(x, f"{at}.intermediate.dense")
            inner = inner * 0.5 * (1 + _erf(inner / sqrt(2)))
            x = self._norm(x + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _split(self, x: Array) -> Array:
        return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
