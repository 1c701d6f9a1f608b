"""BERT sentence encoders: architecture "bert"."""

from __future__ import annotations

from collections.abc import Iterator

from gguf import MODEL_ARCH

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.plan import Names, Plan, layer_count
from puna.library.convert.pooling import pooling
from puna.library.convert.tensors import Tensor

_UNUSED = ("embeddings.position_ids", "pooler.", "cls.")
"""Tensors that embedding does not need."""


def plan(checkpoint: Checkpoint) -> Plan:
    """Raises BadRequest for a config.json that lacks a size, or for tensors that do not fit."""
    config = checkpoint.config
    names = Names(MODEL_ARCH.BERT, layer_count(config))
    values = {
        "block_count": layer_count(config),
        "context_length": config.integer("max_position_embeddings"),
        "embedding_length": config.integer("hidden_size"),
        "feed_forward_length": config.integer("intermediate_size"),
        "attention.head_count": config.integer("num_attention_heads"),
        "attention.layer_norm_epsilon": config.number("layer_norm_eps", default=1e-12),
        "attention.causal": False,
        "tokenizer.ggml.token_type_count": config.integer("type_vocab_size", default=2),
    }
    return Plan(names.architecture, values | pooling(checkpoint), names.apply(_tensors(checkpoint)))


def _tensors(checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    """Tensors under BertModel's names, also when the checkpoint has a prefix or old TensorFlow names."""
    for name, tensor in checkpoint.tensors.items():
        plain = name.removeprefix("bert.")
        if plain.startswith(_UNUSED):
            continue
        if plain.endswith(".gamma"):
            plain = plain.removesuffix("gamma") + "weight"
        elif plain.endswith(".beta"):
            plain = plain.removesuffix("beta") + "bias"
        yield plain, tensor
