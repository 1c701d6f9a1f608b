"""Independent forward passes of decoders: NumPy in double precision over Hugging Face's config and tensors.

Written from the papers and transformers' modelling files, sharing nothing with `puna.library.convert`, so
that a mistake in the conversion cannot hide in both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])


class Decoder:
    """`logits(tokens)` has a row for each token. `weights` are named as in a model of text alone."""

    def __init__(self, config: dict[str, Any], weights: dict[str, Array]) -> None:
        self.config = config
        self.kind: str = config["model_type"]
        self.weights = {
            name.replace("model.language_model.", "model.").replace("language_model.model.", "model."): (
                values if values.dtype == np.uint8 else values.astype(np.float64)
            )
            for name, values in weights.items()
        }
        self.gemma = self.kind.startswith("gemma")
        self.heads: int = config["num_attention_heads"]
        self.kv_heads: int = config["num_key_value_heads"]
        self.size: int = config.get("head_dim") or config["hidden_size"] // self.heads
        self.margin = math.inf
        """By how much the last expert chosen was ahead of the first not chosen, where it was least."""

    def logits(self, tokens: list[int]) -> Array:
        x = self.weights["model.embed_tokens.weight"][tokens]
        if self.gemma:
            x = x * math.sqrt(self.config["hidden_size"])
        for layer in range(self.config["num_hidden_layers"]):
            x = self._layer(x, layer)
        x = self._norm(x, "model.norm")
        output = self.weights.get("lm_head.weight", self.weights["model.embed_tokens.weight"])
        return _capped(x @ output.T, self.config.get("final_logit_softcapping"))

    def _layer(self, x: Array, layer: int) -> Array:
        at = f"model.layers.{layer}."
        attended = self._attention(self._norm(x, f"{at}input_layernorm"), layer)
        if self.kind in ("gemma2", "gemma3_text"):
            x = x + self._norm(attended, f"{at}post_attention_layernorm")
            fed = self._feed_forward(self._norm(x, f"{at}pre_feedforward_layernorm"), at)
            return x + self._norm(fed, f"{at}post_feedforward_layernorm")
        x = x + attended
        return x + self._feed_forward(self._norm(x, f"{at}post_attention_layernorm"), at)

    def _norm(self, x: Array, name: str) -> Array:
        weight = self.weights[f"{name}.weight"] + (1 if self.gemma else 0)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + self.config["rms_norm_eps"]) * weight

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0)

    # attention

    def _attention(self, x: Array, layer: int) -> Array:
        at, length = f"model.layers.{layer}.self_attn.", len(x)
        q, k, v = (
            part.reshape(length, -1, self.size).transpose(1, 0, 2)
            for part in self._queries_keys_values(x, at)
        )
        if f"{at}q_norm.weight" in self.weights:
            q, k = self._norm(q, f"{at}q_norm"), self._norm(k, f"{at}k_norm")
        local = self._local(layer)
        q, k = (rotate(part, *self._angles(length, local)) for part in (q, k))
        k, v = (np.repeat(part, self.heads // self.kv_heads, axis=0) for part in (k, v))
        scale = (self.config.get("query_pre_attn_scalar") or self.size) ** -0.5
        scores = _capped(q @ k.transpose(0, 2, 1) * scale, self.config.get("attn_logit_softcapping"))
        past = np.arange(length)[:, None] - np.arange(length)[None]
        hidden = (past < 0) | (past >= self.config["sliding_window"]) if local else past < 0
        scores = np.where(hidden, -np.inf, scores)
        sinks = self.weights.get(f"{at}sinks")
        if sinks is not None:
            scores = np.concatenate(
                (scores, np.broadcast_to(sinks[:, None, None], (*scores.shape[:2], 1))), -1
            )
        shares = _softmax(scores)[..., :length]
        return self._linear((shares @ v).transpose(1, 0, 2).reshape(length, -1), f"{at}o_proj")

    def _queries_keys_values(self, x: Array, at: str) -> list[Array]:
        if f"{at}qkv_proj.weight" not in self.weights:
            return [self._linear(x, f"{at}{name}_proj") for name in "qkv"]
        ends = np.cumsum([self.heads * self.size, self.kv_heads * self.size])
        return np.split(self._linear(x, f"{at}qkv_proj"), ends, axis=-1)

    def _local(self, layer: int) -> bool:
        if "layer_types" in self.config:
            return self.config["layer_types"][layer] == "sliding_attention"
        if self.kind == "gemma2":
            return layer % 2 == 0
        every = self.config.get("sliding_window_pattern")
        return bool(every) and (layer + 1) % every != 0

    # positions

    def _angles(self, length: int, local: bool) -> tuple[Array, Array]:
        """Cosines and sines of each position, times what the scaling asks for."""
        size = int(self.size * self.config.get("partial_rotary_factor", 1.0))
        base, scaling = self.config["rope_theta"], self.config.get("rope_scaling") or {}
        if local and self.kind == "gemma3_text":
            base, scaling = self.config["rope_local_base_freq"], {}
        frequencies = base ** (-np.arange(0, size, 2) / size)
        kind, attention = scaling.get("rope_type", scaling.get("type")), 1.0
        if kind == "linear":
            frequencies = frequencies / scaling["factor"]
        elif kind == "llama3":
            frequencies = _llama3(frequencies, scaling)
        elif kind == "yarn":
            frequencies = _yarn(frequencies, scaling, base, size)
            attention = 0.1 * math.log(scaling["factor"]) + 1
        elif kind in ("longrope", "su"):
            trained, longest = (
                self.config["original_max_position_embeddings"],
                self.config["max_position_embeddings"],
            )
            # libllama goes by the length of the context, which the tests choose.
            frequencies = frequencies / scaling["long_factor" if self.config["test_long"] else "short_factor"]
            attention = math.sqrt(1 + math.log(longest / trained) / math.log(trained))
        angles = np.arange(length)[:, None] * frequencies
        return np.cos(angles) * attention, np.sin(angles) * attention

    # feed-forward layers

    def _feed_forward(self, x: Array, at: str) -> Array:
        if "num_local_experts" in self.config and self.kind == "mixtral":
            return self._mixture(x, f"{at}block_sparse_moe.gate", self._mixtral_expert, at, normalised=True)
        if self.kind == "gpt_oss":
            return self._mixture(x, f"{at}mlp.router", self._oss_expert, at, normalised=True)
        if "num_experts" in self.config:
            fused = f"{at}mlp.experts.down_proj" in self.weights
            expert = self._fused_expert if fused else self._qwen_expert
            y = self._mixture(x, f"{at}mlp.gate", expert, at, normalised=self.config["norm_topk_prob"])
            if f"{at}mlp.shared_expert_gate.weight" in self.weights:
                share = 1 / (1 + np.exp(-self._linear(x, f"{at}mlp.shared_expert_gate")))
                y = y + share * self._gated(x, f"{at}mlp.shared_expert.")
            return y
        if f"{at}mlp.gate_up_proj.weight" in self.weights:
            gate, up = np.split(self._linear(x, f"{at}mlp.gate_up_proj"), 2, axis=-1)
            return self._linear(_silu(gate) * up, f"{at}mlp.down_proj")
        return self._gated(x, f"{at}mlp.")

    def _gated(self, x: Array, at: str) -> Array:
        act = _gelu if self.gemma else _silu
        inner = act(self._linear(x, f"{at}gate_proj")) * self._linear(x, f"{at}up_proj")
        return self._linear(inner, f"{at}down_proj")

    def _mixture(self, x: Array, router: str, expert: Any, at: str, *, normalised: bool) -> Array:
        scores, used = self._linear(x, router), self.config["num_experts_per_tok"]
        y = np.zeros_like(x)
        for row, score in enumerate(scores):
            order = np.argsort(-score)
            chosen = order[:used]
            self.margin = min(self.margin, score[chosen[-1]] - score[order[used]])
            shares = _softmax(score[chosen] if normalised else score)
            shares = shares if normalised else shares[chosen]
            for number, share in zip(chosen, shares, strict=True):
                y[row] += share * expert(x[row], at, int(number))
        return y

    def _mixtral_expert(self, x: Array, at: str, number: int) -> Array:
        w1, w2, w3 = (
            self.weights[f"{at}block_sparse_moe.experts.{number}.w{part}.weight"] for part in (1, 2, 3)
        )
        return (_silu(x @ w1.T) * (x @ w3.T)) @ w2.T

    def _qwen_expert(self, x: Array, at: str, number: int) -> Array:
        return self._gated(x, f"{at}mlp.experts.{number}.")

    def _fused_expert(self, x: Array, at: str, number: int) -> Array:
        gate, up = np.split(x @ self.weights[f"{at}mlp.experts.gate_up_proj"][number], 2)
        return (_silu(gate) * up) @ self.weights[f"{at}mlp.experts.down_proj"][number]

    def _oss_expert(self, x: Array, at: str, number: int) -> Array:
        both = x @ self.oss_matrix(f"{at}mlp.experts.gate_up_proj", number)
        both = both + self.weights[f"{at}mlp.experts.gate_up_proj_bias"][number]
        gate, up = np.minimum(both[::2], 7.0), np.clip(both[1::2], -7.0, 7.0)
        inner = (up + 1) * gate / (1 + np.exp(-1.702 * gate))
        down = self.oss_matrix(f"{at}mlp.experts.down_proj", number)
        return inner @ down + self.weights[f"{at}mlp.experts.down_proj_bias"][number]

    def oss_matrix(self, name: str, number: int) -> Array:
        """Inputs × outputs."""
        if name in self.weights:
            return self.weights[name][number]
        blocks, scales = self.weights[f"{name}_blocks"][number], self.weights[f"{name}_scales"][number]
        numbers = np.empty((*blocks.shape[:2], 32))
        numbers[..., 0::2], numbers[..., 1::2] = _FP4[blocks & 15], _FP4[blocks >> 4]
        return (numbers * 2.0 ** (scales.astype(int) - 127)[..., None]).reshape(len(blocks), -1).T


def rotate(x: Array, cosines: Array, sines: Array) -> Array:
    """Turn the first half of each head against the second; what is beyond the angles stays."""
    half = cosines.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    turned = (first * cosines - second * sines, second * cosines + first * sines, rest)
    return np.concatenate(turned, axis=-1)


def _llama3(frequencies: Array, scaling: dict[str, Any]) -> Array:
    lengths = 2 * np.pi / frequencies
    low, high, trained = (
        scaling["low_freq_factor"],
        scaling["high_freq_factor"],
        scaling["original_max_position_embeddings"],
    )
    smooth = (trained / lengths - low) / (high - low)
    between = (1 - smooth) * frequencies / scaling["factor"] + smooth * frequencies
    slow = np.where(lengths > trained / low, frequencies / scaling["factor"], between)
    return np.where(lengths < trained / high, frequencies, slow)


def _yarn(frequencies: Array, scaling: dict[str, Any], base: float, size: int) -> Array:
    def pair(turns: float) -> float:
        return (
            size
            * math.log(scaling["original_max_position_embeddings"] / (turns * 2 * math.pi))
            / (2 * math.log(base))
        )

    low = max(math.floor(pair(scaling.get("beta_fast", 32))), 0)
    high = min(math.ceil(pair(scaling.get("beta_slow", 1))), size - 1)
    ramp = np.clip((np.arange(size // 2) - low) / max(high - low, 0.001), 0, 1)
    return frequencies / scaling["factor"] * ramp + frequencies * (1 - ramp)


def _capped(x: Array, cap: float | None) -> Array:
    return np.tanh(x / cap) * cap if cap else x


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
