"""Nemotron 3 (file: Ollama llama/compat, handle_nemotron_h_moe)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Derived, Edit, columns_rows, without
from puna.engine.ollama_gguf.projectors import renamed
from puna.gguf import GGUFFile, u32

_NAMES = {".ffn_latent_in.": ".ffn_latent_down.", ".ffn_latent_out.": ".ffn_latent_up."}
_SIZE = "moe_latent_size"


def text(file: GGUFFile) -> Edit | None:
    """Renames the experts' latent projections, and removes MTP layers; None if nothing changes."""
    tensors = latent_named(without(file, "mtp."))
    if tensors.keys() == file.tensors.keys():
        return None
    return Edit(tensors, latent_size(file, file.metadata.architecture))


def latent_named(tensors: dict[str, str | Derived]) -> dict[str, str | Derived]:
    """`tensors` with libllama's names of the experts' latent projections."""
    return {renamed(old, _NAMES): source for old, source in tensors.items()}


def latent_size(file: GGUFFile, architecture: str) -> dict[str, bytes]:
    """The size of the latent space for libllama's `architecture`; nothing if it has none, or says it."""
    latent = next((old for old in file.tensors if ".ffn_latent_in." in old), "")
    size = columns_rows(file, latent)[1]
    known = f"{file.metadata.architecture}.{_SIZE}" in file.metadata.values
    return {f"{architecture}.{_SIZE}": u32(size)} if size and not known else {}
