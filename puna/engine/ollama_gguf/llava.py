"""LLaVA's projector from before projectors had types (file: Ollama llama/compat)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, without
from puna.gguf import GGUFFile, string


def projector(file: GGUFFile) -> Edit | None:
    """Adds the type that old projectors do not say; None if one is said or it does not see."""
    kinds = ("clip.projector_type", "clip.vision.projector_type")
    if not file.metadata.get("clip.has_vision_encoder") or any(
        file.metadata.get(key) is not None for key in kinds
    ):
        return None
    return Edit(without(file), {"clip.projector_type": string("mlp")})
