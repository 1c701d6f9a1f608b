"""LLaVA's projector from before projectors had kinds (facts: Ollama llama/compat)."""

from __future__ import annotations

from puna.engine.foreign.edit import Edit, Facts, own


def sight(facts: Facts) -> Edit | None:
    kinds = ("clip.projector_type", "clip.vision.projector_type")
    if not facts.get("clip.has_vision_encoder") or any(facts.get(key) is not None for key in kinds):
        return None
    return Edit(own(facts.tensors), {"clip.projector_type": "mlp"})
