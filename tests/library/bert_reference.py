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
        self.layers: int = config.get("num_hidden_layers") or config["n_layer"]
        self.heads: int = config.get("num_attention_heads") or config["n_head"]
        self.epsilon: float = config.get("layer_norm_eps") or config["layer_norm_epsilon"]
        self.base: float = config.get("rotary_emb_base", 0)
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
            x = self._norm(
                x + self._linear(self._mixed(q, k, v), f"{at}.attention.output.dense"),
                f"{at}.attention.output.LayerNorm",
            )
            inner = self._linear(x, f"{at}.intermediate.dense")
            inner = inner * 0.5 * (1 + _erf(inner / sqrt(2)))
            x = self._norm(x + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)

    def _mixed(self, q: Array, k: Array, v: Array) -> Array:
        """Attention from all heads to all tokens."""
        scores = q @ k.transpose(0, 2, 1) / sqrt(q.shape[-1])
        attention = np.exp(scores - scores.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        return (attention @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", np.float32(0))

    def _split(self, x: Array) -> Array:
        return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


class NomicReference(Reference):
    """nomic-embed-text: rotary positions, SwiGLU, no biases but the norms' (Nussbaum et al. 2024)."""

    def embed_tokens(self, ids: list[int]) -> Array:
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "emb_ln")
        for layer in range(self.layers):
            at = f"encoder.layers.{layer}"
            q, k, v = (self._split(part) for part in np.split(self._linear(x, f"{at}.attn.Wqkv"), 3, axis=-1))
            mixed = self._mixed(self._rotated(q), self._rotated(k), v)
            x = self._norm(x + self._linear(mixed, f"{at}.attn.out_proj"), f"{at}.norm1")
            gate = self._linear(x, f"{at}.mlp.fc12")
            inner = self._linear(x, f"{at}.mlp.fc11") * gate / (1 + np.exp(-gate))
            x = self._norm(x + self._linear(inner, f"{at}.mlp.fc2"), f"{at}.norm2")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)

    def _rotated(self, x: Array) -> Array:
        half = x.shape[-1] // 2
        angles = np.arange(x.shape[1])[:, None] * self.base ** (-np.arange(half) / half)
        first, second = x[..., :half], x[..., half:]
        cosines, sines = np.cos(angles), np.sin(angles)
        return np.concatenate((first * cosines - second * sines, second * cosines + first * sines), axis=-1)
