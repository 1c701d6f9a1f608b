"""Common parts of projectors inside a model's file."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import copy_keys
from puna.gguf import GGUFFile, flag, string

INSIDE = ("v.", "mm.")
"""Prefixes of a projector's tensor names."""

CLIP: dict[str, bytes] = {
    "general.architecture": string("clip"),
    "general.type": string("mmproj"),
    "clip.has_vision_encoder": flag(True),
}

_SIZES = ("block_count", "embedding_length", "feed_forward_length", "image_size", "patch_size")
_SIZES += ("attention.head_count", "attention.layer_norm_epsilon")


def sizes(file: GGUFFile, architecture: str) -> dict[str, bytes]:
    """The sizes of the projector in a file of `architecture`, under libmtmd's keys."""
    values = copy_keys(file, {f"clip.vision.{size}": f"{architecture}.vision.{size}" for size in _SIZES})
    return values | copy_keys(file, {"clip.vision.projection_dim": f"{architecture}.embedding_length"})
