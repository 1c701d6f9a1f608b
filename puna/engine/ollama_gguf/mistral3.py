"""The language model of a Mistral 3 (file: Ollama llama/compat, handle_mistral3)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, copy_keys, without
from puna.engine.ollama_gguf.projectors import INSIDE
from puna.gguf import GGUFFile, string

_KEYS = {
    "mistral3.rope.scaling.yarn_beta_fast": "mistral3.rope.scaling.beta_fast",
    "mistral3.rope.scaling.yarn_beta_slow": "mistral3.rope.scaling.beta_slow",
    "mistral3.rope.scaling.yarn_log_multiplier": "mistral3.rope.scaling.mscale_all_dim",
    "mistral3.attention.temperature_scale": "mistral3.rope.scaling_beta",
}
_PRE = "tokenizer.ggml.pre"


def text(file: GGUFFile) -> Edit | None:
    """Removes the projector, and adds values under llama.cpp's keys; None if nothing changes."""
    tensors = without(file, *INSIDE)
    values = copy_keys(file, _KEYS)
    if not values and len(tensors) == len(file.tensors):
        return None
    if file.metadata.get(_PRE) in (None, "", "default"):
        values[_PRE] = string("tekken")
    return Edit(tensors, values)
