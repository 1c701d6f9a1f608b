"""Independent forward passes of the vision parts of Gemma 3 (SigLIP) and Qwen 3 VL: NumPy, 64 bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Tower:
    """What both vision transformers have in common. Pixels are height × width × 3, from 0 to 255."""

    def __init__(self, vision: dict[str, Any], weights: dict[str, Array]) -> None:
        self.vision = vision
        self.weights = {name: values.astype(np.float64) for name, values in weights.items()}
        self.patch: int = vision["patch_size"]
        self.heads: int = vision.get("num_heads") or vision["num_attention_heads"]
        self.epsilon = 1e-6

    def linear(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def patches(self, pixels: Array) -> Array:
        """Rows × columns × (3 · patch · patch), each pixel from -1 to 1."""
        rows, columns = pixels.shape[0] // self.patch, pixels.shape[1] // self.patch
        scaled = (pixels / 255 - 0.5) / 0.5
        cut = scaled.reshape(rows, self.patch, columns, self.patch, 3)
        return cut.transpose(0, 2, 4, 1, 3).reshape(rows, columns, -1)

    def mixed(self, q: Array, k: Array, v: Array) -> Array:
        """Attention of heads × tokens × size, all to all."""
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return (shares @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)

    def split(self, x: Array) -> Array:
        return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)


class Gemma3(Tower):
    def see(self, pixels: Array, tokens: int) -> Array:
        """A vector for each of `tokens`."""
        base = "vision_tower.vision_model."
        patches = self.patches(pixels)
        side = len(patches)
        kernel = self.weights[f"{base}embeddings.patch_embedding.weight"]
        x = patches.reshape(side * side, -1) @ kernel.reshape(len(kernel), -1).T
        x = x + self.weights[f"{base}embeddings.patch_embedding.bias"]
        x = x + self.weights[f"{base}embeddings.position_embedding.weight"]
        for layer in range(self.vision["num_hidden_layers"]):
            at = f"{base}encoder.layers.{layer}."
            y = self.norm(x, f"{at}layer_norm1")
            q, k, v = (self.split(self.linear(y, f"{at}self_attn.{name}_proj")) for name in "qkv")
            x = x + self.linear(self.mixed(q, k, v), f"{at}self_attn.out_proj")
            y = _gelu(self.linear(self.norm(x, f"{at}layer_norm2"), f"{at}mlp.fc1"))
            x = x + self.linear(y, f"{at}mlp.fc2")
        x = self.norm(x, f"{base}post_layernorm")
        wanted = math.isqrt(tokens)
        pool = side // wanted
        x = x.reshape(wanted, pool, wanted, pool, -1).mean((1, 3)).reshape(tokens, -1)
        scale = 1 + self.weights["multi_modal_projector.mm_soft_emb_norm.weight"]
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + self.epsilon) * scale
        return x @ self.weights["multi_modal_projector.mm_input_projection_weight"]


class Qwen3VL(Tower):
    def see(self, pixels: Array) -> Array:
        """For each 2 × 2 patches their vector, and behind it what each of the deep layers saw."""
        base, patches = "model.visual.", self.patches(pixels)
        side = len(patches)
        kernel = self.weights[f"{base}patch_embed.proj.weight"].sum(2)  # a still picture is two equal frames
        x = patches @ kernel.reshape(len(kernel), -1).T + self.weights[f"{base}patch_embed.proj.bias"]
        x = x + self.weights[f"{base}pos_embed.weight"].reshape(side, side, -1)
        x = _by_fours(x)
        places = _by_fours(np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1))
        deep: list[Array] = []
        for layer in range(self.vision["depth"]):
            at = f"{base}blocks.{layer}."
            whole = self.linear(self.norm(x, f"{at}norm1"), f"{at}attn.qkv")
            q, k, v = (self.split(part) for part in np.split(whole, 3, axis=-1))
            x = x + self.linear(self.mixed(_placed(q, places), _placed(k, places), v), f"{at}attn.proj")
            y = _gelu(self.linear(self.norm(x, f"{at}norm2"), f"{at}mlp.linear_fc1"))
            x = x + self.linear(y, f"{at}mlp.linear_fc2")
            if layer in self.vision["deepstack_visual_indexes"]:
                at = f"{base}deepstack_merger_list.{len(deep)}."
                deep.append(self._merged(self.norm(x.reshape(len(x) // 4, -1), f"{at}norm"), at))
        x = self.norm(x, f"{base}merger.norm").reshape(len(x) // 4, -1)
        return np.concatenate((self._merged(x, f"{base}merger."), *deep), axis=-1)

    def _merged(self, x: Array, at: str) -> Array:
        return self.linear(_gelu(self.linear(x, f"{at}linear_fc1")), f"{at}linear_fc2")


def _by_fours(x: Array) -> Array:
    """Rows × columns in the order of squares of 2 × 2."""
    side = len(x)
    return x.reshape(side // 2, 2, side // 2, 2, -1).transpose(0, 2, 1, 3, 4).reshape(side * side, -1)


def _placed(x: Array, places: Array) -> Array:
    """Heads × tokens × size turned by row (first quarter of the angles) and column."""
    half = x.shape[-1] // 2
    frequencies = 10000.0 ** (-np.arange(0, half, 2) / half)
    angles = (places[:, :, None] * frequencies).reshape(len(places), half)
    first, second, cosines, sines = x[..., :half], x[..., half:], np.cos(angles), np.sin(angles)
    return np.concatenate((first * cosines - second * sines, second * cosines + first * sines), axis=-1)


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
