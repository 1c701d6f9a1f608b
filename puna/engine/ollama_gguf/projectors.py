"""Common parts of projectors inside a model's file."""

from __future__ import annotations

from collections.abc import Container, Mapping

from puna.engine.ollama_gguf.edit import Made, as_f32, copy_keys
from puna.gguf import GGUFFile, f32, flag, string

INSIDE = ("v.", "mm.")
"""Prefixes of a projector's tensor names."""

CLIP: dict[str, bytes] = {
    "general.architecture": string("clip"),
    "general.type": string("mmproj"),
    "clip.has_vision_encoder": flag(True),
}

HALF = f32((0.5, 0.5, 0.5))
"""The mean and the deviation by which most encoders normalise colours."""

_SIZES = ("block_count", "embedding_length", "feed_forward_length", "image_size", "patch_size")
_SIZES += ("attention.head_count", "attention.layer_norm_epsilon")


def sizes(file: GGUFFile, architecture: str) -> dict[str, bytes]:
    """The sizes of the projector in a file of `architecture`, under libmtmd's keys."""
    values = copy_keys(file, {f"clip.vision.{size}": f"{architecture}.vision.{size}" for size in _SIZES})
    return values | copy_keys(file, {"clip.vision.projection_dim": f"{architecture}.embedding_length"})


def renamed(name: str, parts: Mapping[str, str]) -> str:
    """`name` with each of `parts` replaced in turn."""
    for old, new in parts.items():
        name = name.replace(old, new)
    return name


def projector_tensors(
    file: GGUFFile, parts: Mapping[str, str], to_f32: Container[str] = (), prefixes: tuple[str, ...] = INSIDE
) -> dict[str, str | Made]:
    """The projector's tensors, with `parts` of their names replaced; those in `to_f32` converted."""
    names = {renamed(old, parts): old for old in file.tensors if old.startswith(prefixes)}
    return {new: as_f32(file, old) if new in to_f32 else old for new, old in names.items()}
