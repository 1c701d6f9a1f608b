"""The language model of a Qwen 3 VL (facts: Ollama llama/compat, handle_qwen3vl)."""

from __future__ import annotations

import numpy as np

from puna.engine.foreign.edit import Edit, Facts, Value, own
from puna.engine.foreign.sight import INSIDE

_SECTIONS = np.array([24, 20, 20, 0], np.int32)  # the same in all of the family


def text(facts: Facts) -> Edit | None:
    """For "qwen3vl" and "qwen3vlmoe"."""
    name = facts.get("general.architecture")
    if facts.get(f"{name}.rope.dimension_sections") is not None:
        return None
    values: dict[str, Value] = {f"{name}.rope.dimension_sections": _SECTIONS}
    if facts.get(f"{name}.n_deepstack_layers") is None:
        deep = facts.get(f"{name}.vision.deepstack_visual_indexes")
        values[f"{name}.n_deepstack_layers"] = np.uint32(len(deep) if isinstance(deep, np.ndarray) else 0)
    return Edit(own(facts.tensors, *INSIDE), values)
