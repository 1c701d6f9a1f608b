"""What projectors inside a model's file have in common."""

from __future__ import annotations

import numpy as np

from puna.engine.foreign.edit import Facts, Value, copied

INSIDE = ("v.", "mm.")
"""What the names of a projector's tensors begin with."""

CLIP: dict[str, Value] = {
    "general.architecture": "clip",
    "general.type": "mmproj",
    "clip.has_vision_encoder": np.bool_(True),
}

_SIZES = ("block_count", "embedding_length", "feed_forward_length", "image_size", "patch_size")
_SIZES += ("attention.head_count", "attention.layer_norm_epsilon")


def sizes(facts: Facts, architecture: str) -> dict[str, Value]:
    """How large the projector in a file of `architecture` is, by libmtmd's keys."""
    values = copied(facts, {f"clip.vision.{size}": f"{architecture}.vision.{size}" for size in _SIZES})
    return values | copied(facts, {"clip.vision.projection_dim": f"{architecture}.embedding_length"})
