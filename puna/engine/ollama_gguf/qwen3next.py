"""Qwen 3 Next (file: Ollama llama/compat, handle_qwen3next)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, collapsed
from puna.gguf import GGUFFile

_STEP = ".ssm_dt"


def text(file: GGUFFile) -> Edit | None:
    """Names the bias of the time step, and gives one number of heads; None if nothing changes."""
    tensors = {step_named(old): old for old in file.tensors}
    if tensors.keys() == file.tensors.keys():
        return None
    return Edit(tensors, collapsed(file, "qwen3next.attention.head_count_kv"))


def step_named(name: str) -> str:
    """The name of a tensor, with `.bias` behind the time step's."""
    return f"{name}.bias" if name.endswith(_STEP) else name
