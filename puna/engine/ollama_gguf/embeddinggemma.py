"""EmbeddingGemma as a Gemma 3 with two dense layers (file: Ollama llama/compat, handle_embeddinggemma)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, columns_rows, copy_prefix
from puna.gguf import GGUFFile, f32, string, u32

_NAMES = {
    "dense.0.weight": "dense_2.weight",
    "dense.1.weight": "dense_3.weight",
    "norm.weight": "output_norm.weight",
}
_ARCHITECTURE = "gemma-embedding"


def is_one(file: GGUFFile) -> bool:
    """Whether a file of architecture gemma3 is an EmbeddingGemma: only that has dense layers."""
    return {"dense.0.weight", "dense.1.weight"} <= file.tensors.keys()


def text(file: GGUFFile) -> Edit:
    """Renames the architecture and the dense layers, and adds their sizes."""
    values = copy_prefix(file, "gemma3.", f"{_ARCHITECTURE}.")
    for key in ("attention.causal", "attention.sliding_window_pattern"):
        values.pop(f"{_ARCHITECTURE}.{key}", None)
    values.setdefault(f"{_ARCHITECTURE}.rope.freq_base_swa", f32(10_000.0))
    for old, new in (("dense.0.weight", "dense_2"), ("dense.1.weight", "dense_3")):
        inner, outer = columns_rows(file, old)
        values[f"{_ARCHITECTURE}.{new}_feat_in"] = u32(inner)
        values[f"{_ARCHITECTURE}.{new}_feat_out"] = u32(outer)
    values["general.architecture"] = string(_ARCHITECTURE)
    return Edit({_NAMES.get(old, old): old for old in file.tensors}, values)
