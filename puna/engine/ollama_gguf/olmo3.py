"""Olmo 3 under its own name: libllama reads it as an Olmo 2 (file: Ollama llama/compat, handle_olmo3)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, copy_prefix, without
from puna.gguf import GGUFFile, string


def text(file: GGUFFile) -> Edit:
    """Renames the architecture."""
    return Edit(
        without(file), copy_prefix(file, "olmo3.", "olmo2.") | {"general.architecture": string("olmo2")}
    )
