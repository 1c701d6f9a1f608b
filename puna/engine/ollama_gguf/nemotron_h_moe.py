"""Nemotron 3 (file: Ollama llama/compat, handle_nemotron_h_moe)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, columns_rows, without
from puna.engine.ollama_gguf.projectors import renamed
from puna.gguf import GGUFFile, u32

_NAMES = {".ffn_latent_in.": ".ffn_latent_down.", ".ffn_latent_out.": ".ffn_latent_up."}
_SIZE = "nemotron_h_moe.moe_latent_size"


def text(file: GGUFFile) -> Edit | None:
    """Renames the experts' latent projections, and removes MTP layers; None if nothing changes."""
    tensors = {renamed(old, _NAMES): old for old in without(file, "mtp.")}
    if tensors.keys() == file.tensors.keys():
        return None
    latent = next((old for old in file.tensors if ".ffn_latent_in." in old), "")
    size = columns_rows(file, latent)[1]
    return Edit(tensors, {_SIZE: u32(size)} if size and _SIZE not in file.metadata.values else {})
