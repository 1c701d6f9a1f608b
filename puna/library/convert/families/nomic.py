"""nomic-embed-text v1 and v1.5: a BERT with rotary positions and gated feed-forward layers."""

from __future__ import annotations

from gguf import MODEL_ARCH

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.plan import Names, Plan, layer_count
from puna.library.convert.pooling import pooling

_TRAINED, _STRETCHED = 2048, 8192
"""Positions it was trained on, and those of config.json, which need a scaling that llama.cpp lacks."""

_EXPECTED = {
    "prenorm": False,
    "causal": False,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "activation_function": "swiglu",
}


def plan(checkpoint: Checkpoint) -> Plan:
    """Raises BadRequest for a variant that llama.cpp lacks, such as the one with experts."""
    config = checkpoint.config
    _check(config)
    names = Names(MODEL_ARCH.NOMIC_BERT, layer_count(config))
    positions = config.integer("n_positions", "max_position_embeddings")
    values = {
        "block_count": layer_count(config),
        "context_length": _TRAINED if positions == _STRETCHED else positions,
        "embedding_length": config.integer("n_embd", "hidden_size"),
        "feed_forward_length": config.integer("n_inner", "intermediate_size"),
        "attention.head_count": config.integer("n_head", "num_attention_heads"),
        "attention.layer_norm_epsilon": config.number("layer_norm_epsilon", "layer_norm_eps", default=1e-12),
        "attention.causal": False,
        "rope.freq_base": config.number("rotary_emb_base", "rope_theta", default=1000.0),
        "tokenizer.ggml.token_type_count": config.integer("type_vocab_size", default=2),
    }
    tensors = {
        name: tensor
        for name, tensor in checkpoint.tensors.items()
        if not name.startswith(("embeddings.position_ids", "pooler."))
    }
    return Plan(names.architecture, values | pooling(checkpoint), names.apply(tensors.items()))


def _check(config: Config) -> None:
    """llama.cpp has one variant. Raises BadRequest for others, such as the one with experts."""
    if config.get("moe_every_n_layers"):
        raise config.error("moe_every_n_layers", "is set; a NomicBertModel with experts cannot be converted")
    for name, value in _EXPECTED.items():
        if config.get(name) not in (None, value):
            raise config.error(name, f"is {config.get(name)!r}, which cannot be converted")
