"""Gemma 1, 2 and 3, including the language model of a multimodal Gemma 3."""

from __future__ import annotations

from collections.abc import Mapping

from gguf import MODEL_ARCH

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.families.decoder import hyperparameters, weights
from puna.library.convert.plan import Names, Plan, layer_count
from puna.library.convert.tensors import plus_one
from puna.library.convert.writing import Value

_LARGEST = {MODEL_ARCH.GEMMA2: 46, MODEL_ARCH.GEMMA3: 62}
"""Layer counts of the 27B models: libllama scales their attention by width over heads, not by head size."""

# Defaults of transformers' Gemma3TextConfig.
_GEMMA3: dict[str, Value] = {
    "max_position_embeddings": 131072,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000.0,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
}


def plan_gemma(checkpoint: Checkpoint) -> Plan:
    """The first Gemma: no window, no soft caps."""
    return _plan(checkpoint, checkpoint.config, MODEL_ARCH.GEMMA, {})


def plan_gemma2(checkpoint: Checkpoint) -> Plan:
    """Layers with a sliding window, and soft caps. Raises BadRequest for another scale of queries."""
    config = checkpoint.config
    _check_scale(config, MODEL_ARCH.GEMMA2)
    values: dict[str, Value] = {
        "attention.sliding_window": config.integer("sliding_window", default=4096),
        "attn_logit_softcapping": config.number("attn_logit_softcapping", default=50.0),
        "final_logit_softcapping": config.number("final_logit_softcapping", default=30.0),
    }
    return _plan(checkpoint, config, MODEL_ARCH.GEMMA2, values)


def plan_gemma3(checkpoint: Checkpoint) -> Plan:
    """The language model. Fields that config.json leaves out have their defaults. Raises BadRequest."""
    config = checkpoint.config.with_defaults(Config(dict(_GEMMA3), checkpoint.config.file))
    _check_scale(config, MODEL_ARCH.GEMMA3)
    local = config.section("rope_parameters").section("sliding_attention").get("rope_theta")
    values: dict[str, Value] = {
        "attention.sliding_window": config.integer("sliding_window"),
        "attention.sliding_window_pattern": _window_pattern(config),
        "rope.freq_base_swa": float(local)
        if local
        else config.number("rope_local_base_freq", default=10000.0),
    }
    if config.get("final_logit_softcapping") is not None:
        values["final_logit_softcapping"] = config.number("final_logit_softcapping")
    return _plan(checkpoint, config, MODEL_ARCH.GEMMA3, values)


def _plan(checkpoint: Checkpoint, config: Config, arch: MODEL_ARCH, values: Mapping[str, Value]) -> Plan:
    names = Names(arch, layer_count(config))
    tensors = {
        name: plus_one(tensor) if name.endswith("norm.weight") else tensor
        for name, tensor in weights(checkpoint)
        if name != "lm_head.weight"  # a copy of the embedding, which some programs write
    }
    return Plan(names.architecture, hyperparameters(config) | dict(values), names.apply(tensors.items()))


def _window_pattern(config: Config) -> list[bool]:
    """Whether each layer attends only to a window."""
    layers = layer_count(config)
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and len(kinds) == layers:
        return [kind == "sliding_attention" for kind in kinds]
    every = config.integer("sliding_window_pattern", "_sliding_window_pattern")
    return [(layer + 1) % every != 0 for layer in range(layers)]


def _check_scale(config: Config, arch: MODEL_ARCH) -> None:
    heads, size = config.integer("num_attention_heads"), config.integer("head_dim", default=256)
    scale = config.integer("hidden_size") // heads if layer_count(config) == _LARGEST[arch] else size
    if config.number("query_pre_attn_scalar", default=float(scale)) != scale:
        raise config.error("query_pre_attn_scalar", f"is not {scale}, which llama.cpp takes it to be")
