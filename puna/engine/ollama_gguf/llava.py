"""LLaVA's old projector, whose file does not name its type (file: Ollama llama/compat)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, without
from puna.gguf import GGUFFile, string


def projector(file: GGUFFile) -> Edit | None:
    """Adds the missing type; None if the file has one, or no vision encoder."""
    kinds = ("clip.projector_type", "clip.vision.projector_type")
    if not file.metadata.get("clip.has_vision_encoder") or any(
        file.metadata.get(key) is not None for key in kinds
    ):
        return None
    return Edit(without(file), {"clip.projector_type": string("mlp")})
