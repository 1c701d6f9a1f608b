"""Small random models in Hugging Face's layout: config.json, a tokenizer, safetensors in one file or two."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]

WIDTH, INNER, LAYERS, VOCABULARY = 64, 96, 2, 640

BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 1024,
    "rope_theta": 10000.0,
}


def write_safetensors(path: Path, tensors: Weights, dtype: str = "F32") -> None:
    """Numbers as `dtype`, "F32", "F16" or "BF16"; bytes stay bytes."""
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name, values in tensors.items():
        kind, raw = ("U8", values.tobytes()) if values.dtype == np.uint8 else (dtype, encoded(values, dtype))
        header[name] = {"dtype": kind, "shape": values.shape, "data_offsets": [at, at + len(raw)]}
        parts.append(raw)
        at += len(raw)
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def encoded(values: Array, dtype: str) -> bytes:
    if dtype == "BF16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return values.astype({"F32": "<f4", "F16": "<f2"}[dtype]).tobytes()


def rounded(values: Array, dtype: str) -> Array:
    """`values` as they come back out of a file of `dtype`."""
    if values.dtype == np.uint8 or dtype == "F32":
        return values
    if dtype == "F16":
        return values.astype(np.float16).astype(np.float32)
    return (values.astype("<f4").view("<u4") & 0xFFFF0000).view("<f4")


class Maker:
    """Random tensors, remembered by name."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self.weights: Weights = {}

    def matrix(self, name: str, *shape: int, scale: float = 1.0, inputs: int | None = None) -> None:
        values = self._random.standard_normal(shape, np.float32)
        self.weights[name] = values * np.float32(scale * (inputs or shape[-1]) ** -0.5)

    def norm(self, name: str, size: int = WIDTH, about: float = 1.0) -> None:
        self.weights[name] = about + self._random.standard_normal(size, np.float32) * np.float32(0.1)

    def bias(self, name: str, *shape: int) -> None:
        self.weights[name] = self._random.standard_normal(shape, np.float32) * np.float32(0.2)

    def bytes(self, name: str, low: int, high: int, *shape: int) -> None:
        self.weights[name] = self._random.integers(low, high, shape, np.uint8, endpoint=True)


def decoder(
    config: dict[str, Any],
    *,
    seed: int = 0,
    bias: bool = False,
    head_norms: bool = False,
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm"),
    norm_about: float = 1.0,
    feed_forward: Callable[[Maker, str, dict[str, Any]], None] | None = None,
    prefix: str = "model.",
    tied: bool = False,
) -> Weights:
    """The tensors of a decoder in the layout Llama's descendants share."""
    made = Maker(seed)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    kv_heads, size = config["num_key_value_heads"], config.get("head_dim") or width // heads
    made.matrix(f"{prefix}embed_tokens.weight", config["vocab_size"], width, inputs=1)
    for layer in range(config["num_hidden_layers"]):
        at = f"{prefix}layers.{layer}."
        for name, rows in (("q", heads), ("k", kv_heads), ("v", kv_heads)):
            # Attention that picks single tokens, so that positions matter.
            made.matrix(
                f"{at}self_attn.{name}_proj.weight", rows * size, width, scale=2.0 if name == "q" else 1.0
            )
            if bias:
                made.bias(f"{at}self_attn.{name}_proj.bias", rows * size)
        made.matrix(f"{at}self_attn.o_proj.weight", width, heads * size)
        if head_norms:
            made.norm(f"{at}self_attn.q_norm.weight", size, norm_about)
            made.norm(f"{at}self_attn.k_norm.weight", size, norm_about)
        for norm in norms:
            made.norm(f"{at}{norm}.weight", width, norm_about)
        (feed_forward or gated)(made, f"{at}mlp.", config)
    made.norm(f"{prefix}norm.weight", width, norm_about)
    if not tied:
        made.matrix("lm_head.weight", config["vocab_size"], width)
    return made.weights


def gated(made: Maker, at: str, config: dict[str, Any], inner: int | None = None) -> None:
    width, between = config["hidden_size"], inner or config["intermediate_size"]
    made.matrix(f"{at}gate_proj.weight", between, width)
    made.matrix(f"{at}up_proj.weight", between, width)
    made.matrix(f"{at}down_proj.weight", width, between)


def qwen_experts(made: Maker, at: str, config: dict[str, Any]) -> None:
    made.matrix(f"{at}gate.weight", config["num_experts"], config["hidden_size"], scale=3.0)
    for expert in range(config["num_experts"]):
        gated(made, f"{at}experts.{expert}.", config, config["moe_intermediate_size"])
    if "shared_expert_intermediate_size" in config:
        gated(made, f"{at}shared_expert.", config, config["shared_expert_intermediate_size"])
        made.matrix(f"{at}shared_expert_gate.weight", 1, config["hidden_size"])


def mixtral_experts(made: Maker, at: str, config: dict[str, Any]) -> None:
    at, width, inner = (
        at.replace("mlp.", "block_sparse_moe."),
        config["hidden_size"],
        config["intermediate_size"],
    )
    made.matrix(f"{at}gate.weight", config["num_local_experts"], width, scale=3.0)
    for expert in range(config["num_local_experts"]):
        made.matrix(f"{at}experts.{expert}.w1.weight", inner, width)
        made.matrix(f"{at}experts.{expert}.w2.weight", width, inner)
        made.matrix(f"{at}experts.{expert}.w3.weight", inner, width)


def fused_experts(made: Maker, at: str, config: dict[str, Any]) -> None:
    """Qwen 3 VL's experts: one tensor, inputs before outputs."""
    count, width, inner = config["num_experts"], config["hidden_size"], config["moe_intermediate_size"]
    made.matrix(f"{at}gate.weight", count, width, scale=3.0)
    made.matrix(f"{at}experts.gate_up_proj", count, width, 2 * inner, inputs=width)
    made.matrix(f"{at}experts.down_proj", count, inner, width, inputs=inner)


def oss_experts(made: Maker, at: str, config: dict[str, Any]) -> None:
    """GPT-OSS's experts in MXFP4, or as they are when the config says `plain`."""
    count, width, inner = config["num_local_experts"], config["hidden_size"], config["intermediate_size"]
    made.matrix(f"{at}router.weight", count, width, scale=3.0)
    made.bias(f"{at}router.bias", count)
    for name, rows, columns in (("gate_up_proj", 2 * inner, width), ("down_proj", width, inner)):
        made.bias(f"{at}experts.{name}_bias", count, rows)
        if config.get("plain"):
            made.matrix(f"{at}experts.{name}", count, columns, rows, inputs=columns)
        else:
            made.bytes(f"{at}experts.{name}_blocks", 0, 255, count, rows, columns // 32, 16)
            made.bytes(f"{at}experts.{name}_scales", 121, 124, count, rows, columns // 32)


def write_checkpoint(
    folder: Path, config: dict[str, Any], weights: Weights, dtype: str = "F32", *, shards: int = 1
) -> Path:
    """config.json and the weights; the tokenizer is the caller's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        write_safetensors(folder / "model.safetensors", weights, dtype)
        return folder
    places: dict[str, str] = {}
    for number, names in enumerate(_dealt(list(weights), shards), 1):
        file = f"model-{number:05}-of-{shards:05}.safetensors"
        write_safetensors(folder / file, {name: weights[name] for name in names}, dtype)
        places |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _dealt(names: list[str], shards: int) -> Iterator[list[str]]:
    """One layer's experts, and queries and keys, land in different files."""
    yield from (names[start::shards] for start in range(shards))
