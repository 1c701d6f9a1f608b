"""A random model of every family that is converted, and its reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.library.convert.checkpoints import (
    BASE,
    INNER,
    LAYERS,
    VOCABULARY,
    WIDTH,
    Maker,
    Weights,
    decoder,
    fused_experts,
    mixtral_experts,
    oss_experts,
    qwen_experts,
    rounded,
    write_checkpoint,
)
from tests.library.convert.reference import Decoder
from tests.library.convert.tokenizers_made import byte_level, sentencepiece

GEMMA_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {
    "rope_type": "yarn",
    "factor": 8.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 128,
}
LONGROPE = {
    "type": "longrope",
    "short_factor": [1.0 + 0.1 * pair for pair in range(8)],
    "long_factor": [1.0 + 0.7 * pair for pair in range(8)],
}
MOE = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
GEMMA = {"head_dim": 32, "sliding_window": 16}
OSS = {
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "head_dim": 32,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention"],
}


@dataclass
class Case:
    architecture: str
    kind: str
    config: dict[str, Any]
    weights: Callable[[dict[str, Any]], Weights]
    sentencepiece: bool = False
    wrapped: bool = False
    """The language model is a part: text_config, and names that begin with its part's."""
    tolerance: float = 2e-3
    """libllama rounds what it multiplies with MXFP4 to 8 bits: those weights are compared themselves too."""


def phi(config: dict[str, Any]) -> Weights:
    made, size = Maker(4), WIDTH // 4
    made.matrix("model.embed_tokens.weight", VOCABULARY, WIDTH, inputs=1)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        made.matrix(f"{at}self_attn.qkv_proj.weight", (4 + 2 + 2) * size, WIDTH)
        made.matrix(f"{at}self_attn.o_proj.weight", WIDTH, WIDTH)
        made.matrix(f"{at}mlp.gate_up_proj.weight", 2 * INNER, WIDTH)
        made.matrix(f"{at}mlp.down_proj.weight", WIDTH, INNER)
        made.norm(f"{at}input_layernorm.weight")
        made.norm(f"{at}post_attention_layernorm.weight")
    made.norm("model.norm.weight")
    made.matrix("lm_head.weight", VOCABULARY, WIDTH)
    return made.weights


def oss(config: dict[str, Any], seed: int = 0) -> Weights:
    weights = decoder(config, seed=seed, bias=True, feed_forward=oss_experts)
    made = Maker(5)
    for layer in range(LAYERS):
        made.bias(f"model.layers.{layer}.self_attn.o_proj.bias", WIDTH)
        made.bias(f"model.layers.{layer}.self_attn.sinks", config["num_attention_heads"])
    return weights | made.weights


def gemma3(config: dict[str, Any]) -> Weights:
    return decoder(config, norms=GEMMA_NORMS, norm_about=0.0, head_norms=True, tied=True)


CASES = {
    "llama": Case("LlamaForCausalLM", "llama", {}, decoder, sentencepiece=True),
    "llama-3.1": Case("LlamaForCausalLM", "llama", {"rope_scaling": LLAMA3}, partial(decoder, tied=True)),
    "llama-linear": Case(
        "LlamaForCausalLM", "llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}, decoder
    ),
    "mistral": Case("MistralForCausalLM", "mistral", {"head_dim": 32}, decoder, sentencepiece=True),
    "mixtral": Case(
        "MixtralForCausalLM",
        "mixtral",
        {"num_local_experts": 4, "num_experts_per_tok": 2},
        partial(decoder, seed=27, feed_forward=mixtral_experts),
        sentencepiece=True,
    ),
    "qwen2": Case("Qwen2ForCausalLM", "qwen2", {}, partial(decoder, bias=True)),
    "qwen2-yarn": Case("Qwen2ForCausalLM", "qwen2", {"rope_scaling": YARN}, partial(decoder, bias=True)),
    "qwen2moe": Case(
        "Qwen2MoeForCausalLM",
        "qwen2_moe",
        {**MOE, "shared_expert_intermediate_size": 64, "norm_topk_prob": False},
        partial(decoder, seed=23, bias=True, feed_forward=qwen_experts),
    ),
    "qwen3": Case(
        "Qwen3ForCausalLM", "qwen3", {"head_dim": 32}, partial(decoder, head_norms=True, tied=True)
    ),
    "qwen3moe": Case(
        "Qwen3MoeForCausalLM",
        "qwen3_moe",
        {**MOE, "norm_topk_prob": True, "head_dim": 32},
        partial(decoder, seed=39, head_norms=True, feed_forward=qwen_experts),
    ),
    "qwen3vl": Case(
        "Qwen3VLForConditionalGeneration",
        "qwen3_vl_text",
        {"head_dim": 32, "rope_scaling": {"rope_type": "default", "mrope_section": [6, 5, 5]}},
        partial(decoder, head_norms=True, prefix="model.language_model."),
        wrapped=True,
    ),
    "qwen3vlmoe": Case(
        "Qwen3VLMoeForConditionalGeneration",
        "qwen3_vl_moe_text",
        {
            **MOE,
            "norm_topk_prob": True,
            "head_dim": 32,
            "rope_scaling": {"rope_type": "default", "mrope_section": [6, 5, 5]},
        },
        partial(
            decoder, seed=14, head_norms=True, feed_forward=fused_experts, prefix="model.language_model."
        ),
        wrapped=True,
    ),
    "gemma": Case(
        "GemmaForCausalLM",
        "gemma",
        {"head_dim": 32},
        partial(decoder, norm_about=0.0, tied=True),
        sentencepiece=True,
    ),
    "gemma2": Case(
        "Gemma2ForCausalLM",
        "gemma2",
        {
            **GEMMA,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 6.0,
            "query_pre_attn_scalar": 32,
        },
        partial(decoder, norms=GEMMA_NORMS, norm_about=0.0, tied=True),
        sentencepiece=True,
    ),
    "gemma3": Case(
        "Gemma3ForCausalLM",
        "gemma3_text",
        {
            **GEMMA,
            "query_pre_attn_scalar": 32,
            "rope_local_base_freq": 1000.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            "sliding_window_pattern": 2,
        },
        gemma3,
        sentencepiece=True,
    ),
    "gemma3-seeing": Case(
        "Gemma3ForConditionalGeneration",
        "gemma3_text",
        {
            **GEMMA,
            "query_pre_attn_scalar": 32,
            "rope_local_base_freq": 1000.0,
            "layer_types": ["full_attention", "sliding_attention"],
        },
        lambda config: {f"language_model.{name}": values for name, values in gemma3(config).items()},
        sentencepiece=True,
        wrapped=True,
    ),
    "phi3": Case(
        "Phi3ForCausalLM", "phi3", {"original_max_position_embeddings": 1024}, phi, sentencepiece=True
    ),
    "phi3-long": Case(
        "Phi3ForCausalLM",
        "phi3",
        {"original_max_position_embeddings": 128, "rope_scaling": LONGROPE, "test_long": True},
        phi,
    ),
    "phi3-short": Case(
        "Phi3ForCausalLM",
        "phi3",
        {
            "original_max_position_embeddings": 1024,
            "max_position_embeddings": 4096,
            "rope_scaling": LONGROPE,
            "test_long": False,
        },
        phi,
    ),
    "gptoss": Case(
        "GptOssForCausalLM",
        "gpt_oss",
        {
            **OSS,
            "rope_scaling": YARN,
        },
        partial(oss, seed=12),
        tolerance=6e-2,
    ),
    "gptoss-plain": Case(
        "GptOssForCausalLM",
        "gpt_oss",
        {
            **OSS,
            "plain": True,
        },
        partial(oss, seed=27),
    ),
}


def make(folder: Path, case: Case, dtype: str, *, shards: int = 1) -> Decoder:
    """Write the model of `case`; return its reference."""
    text = {**BASE, "model_type": case.kind, **case.config}
    weights = case.weights(text)
    config: dict[str, Any] = {"architectures": [case.architecture]}
    config |= {"text_config": text} if case.wrapped else text
    write_checkpoint(folder, config, weights, dtype, shards=shards)
    if case.sentencepiece:
        sentencepiece(folder)
    else:
        byte_level(folder)
    return Decoder(text, {name: rounded(values, dtype) for name, values in weights.items()})
