"""A model's purpose, by its GGUF header."""

from __future__ import annotations

from puna.gguf import Metadata

_RANK = 4  # llama.h, LLAMA_POOLING_TYPE_RANK

_HEADS = ("dflash", "eagle3", "gemma4-assistant")
"""Architectures that take another model's hidden states (llama.cpp src/llama-arch.cpp)."""

_STATES = ("ssm.", "wkv.", "shortconv.", "kda.")
"""Keys of layers with recurrent state (llama.cpp src/llama-arch.cpp)."""


def pooling_capability(metadata: Metadata) -> str:
    """ "embedding" or "rerank" for a model that does not generate; else ""."""
    pooling = metadata.arch("pooling_type")
    # Older reranker files have a classifier but no pooling type.
    if pooling == _RANK or (pooling is None and _has(metadata, "cls.output.weight")):
        return "rerank"
    return "" if pooling is None else "embedding"


def embeds_unnormalized(metadata: Metadata) -> bool:
    """Whether Ollama's /api/embeddings returns its vectors as they are (llm/llama_server.go)."""
    kind, normalizes = metadata.architecture, metadata.arch("normalize_embeddings")
    if kind.startswith("nomic-bert"):
        return not normalizes
    wordpiece = metadata.get("tokenizer.ggml.model", "bert") == "bert"
    return kind == "bert" and (not wordpiece or normalizes is False)


def needs_hidden_states(metadata: Metadata) -> bool:
    """Whether the model reads another model's hidden states, like MTP heads."""
    return metadata.architecture in _HEADS or not _has(metadata, "blk.0.")


def recurrent(metadata: Metadata) -> bool:
    """Whether some layers have a recurrent state, which cannot return to an earlier token."""
    begins = tuple(f"{metadata.architecture}.{key}" for key in _STATES)
    return any(key.startswith(begins) for key in metadata.values)


def _has(metadata: Metadata, begins: str) -> bool:
    return any(tensor.name.startswith(begins) for tensor in metadata.tensors)
