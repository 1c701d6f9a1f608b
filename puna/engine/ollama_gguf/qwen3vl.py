"""The language model of a Qwen 3 VL (file: Ollama llama/compat, handle_qwen3vl)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, numbers, without
from puna.engine.ollama_gguf.projectors import INSIDE
from puna.gguf import GGUFFile, i32, u32

_SECTIONS = i32((24, 20, 20, 0))  # the same for the whole family


def text(file: GGUFFile) -> Edit | None:
    """Adds missing values to "qwen3vl" and "qwen3vlmoe"; None if they are there."""
    name = file.metadata.get("general.architecture")
    if file.metadata.get(f"{name}.rope.dimension_sections") is not None:
        return None
    values = {f"{name}.rope.dimension_sections": _SECTIONS}
    if file.metadata.get(f"{name}.n_deepstack_layers") is None:
        deep = numbers(file, f"{name}.vision.deepstack_visual_indexes")
        values[f"{name}.n_deepstack_layers"] = u32(len(deep))
    return Edit(without(file, *INSIDE), values)
