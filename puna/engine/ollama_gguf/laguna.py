"""Laguna under older names (file: Ollama llama/compat, handle_laguna)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, copy_keys
from puna.engine.ollama_gguf.projectors import renamed
from puna.gguf import GGUFFile

_KEYS = {
    "laguna.rope.dimension_count_swa": "laguna.rope.swa.dimension_count",
    "laguna.rope.freq_base_swa": "laguna.rope.swa.freq_base",
}
_NAMES = {".attn_g.weight": ".attn_gate.weight"}


def text(file: GGUFFile) -> Edit | None:
    """Renames the gates of attention and the values of sliding windows; None if nothing changes."""
    values = copy_keys(file, _KEYS)
    tensors = {renamed(old, _NAMES): old for old in file.tensors}
    return Edit(tensors, values) if values or tensors.keys() != file.tensors.keys() else None
