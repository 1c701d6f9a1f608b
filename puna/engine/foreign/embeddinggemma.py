"""EmbeddingGemma as a Gemma 3 with two dense layers (facts: Ollama llama/compat, handle_embeddinggemma)."""

from __future__ import annotations

import numpy as np

from puna.engine.foreign.edit import Edit, Facts, renamed

_NAMES = {
    "dense.0.weight": "dense_2.weight",
    "dense.1.weight": "dense_3.weight",
    "norm.weight": "output_norm.weight",
}
_ARCHITECTURE = "gemma-embedding"


def is_one(facts: Facts) -> bool:
    return {"dense.0.weight", "dense.1.weight"} <= facts.tensors.keys()


def text(facts: Facts) -> Edit:
    values = renamed(facts, "gemma3.", f"{_ARCHITECTURE}.")
    for key in ("attention.causal", "attention.sliding_window_pattern"):
        values.pop(f"{_ARCHITECTURE}.{key}", None)
    values.setdefault(f"{_ARCHITECTURE}.rope.freq_base_swa", np.float32(10_000.0))
    for old, new in (("dense.0.weight", "dense_2"), ("dense.1.weight", "dense_3")):
        inner, outer = facts.tensors[old][:2]
        values[f"{_ARCHITECTURE}.{new}_feat_in"] = np.uint32(inner)
        values[f"{_ARCHITECTURE}.{new}_feat_out"] = np.uint32(outer)
    values["general.architecture"] = _ARCHITECTURE
    return Edit({_NAMES.get(old, old): old for old in facts.tensors}, values)
