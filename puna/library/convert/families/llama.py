"""Llama, Mistral and Mixtral: architecture "llama"."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gguf import MODEL_ARCH

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.families.decoder import (
    experts,
    head_size,
    hyperparameters,
    rope,
    rope_type,
    weights,
)
from puna.library.convert.plan import Names, Plan, layer_count
from puna.library.convert.tensors import Tensor, constant, permute


def plan(checkpoint: Checkpoint) -> Plan:
    """Queries and keys are permuted for llama.cpp's order of rotary pairs. Raises BadRequest."""
    config = checkpoint.config
    names = Names(MODEL_ARCH.LLAMA, layer_count(config))
    values = hyperparameters(config) | {"rope.dimension_count": head_size(config)}
    tensors = {name: permute_heads(name, tensor, config) for name, tensor in weights(checkpoint)}
    named = names.apply(_stack_experts(tensors, config))
    if rope_type(config) == "llama3":
        named["rope_freqs.weight"] = constant("rope_freqs", rope_factors(config))
    return Plan(names.architecture, values, named)


def permute_heads(name: str, tensor: Tensor, config: Config) -> Tensor:
    """Queries and keys in this architecture's order of rotation, other tensors unchanged."""
    heads = config.integer("num_attention_heads")
    if name.endswith((".q_proj.weight", ".q_proj.bias")):
        return permute(tensor, heads)
    if name.endswith((".k_proj.weight", ".k_proj.bias")):
        return permute(tensor, config.integer("num_key_value_heads", default=heads))
    return tensor


def rope_factors(config: Config) -> list[float]:
    """The divisor of each frequency in Llama 3.1 (transformers, modeling_rope_utils, llama3)."""
    parameters, size = rope(config), head_size(config)
    factor = parameters.number("factor", default=8.0)
    low = parameters.number("low_freq_factor", default=1.0)
    high = parameters.number("high_freq_factor", default=4.0)
    trained = parameters.integer("original_max_position_embeddings", default=8192)
    base = parameters.number("rope_theta", default=10000.0)
    if not (factor > 0 and 0 < low < high and base > 0):
        raise config.error("rope_scaling", "has factors that make no sense")
    factors: list[float] = []
    for pair in range(0, size, 2):
        length = 2 * math.pi * base ** (pair / size)
        if length < trained / high:
            factors.append(1.0)
        elif length > trained / low:
            factors.append(factor)
        else:
            smooth = (trained / length - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def _stack_experts(tensors: dict[str, Tensor], config: Config) -> Iterator[tuple[str, Tensor]]:
    """Mixtral's experts as one tensor; other models have none."""
    if config.get("num_local_experts") is None:
        yield from tensors.items()
    else:
        yield from experts(tensors, config.integer("num_local_experts"))
