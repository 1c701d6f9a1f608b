"""Common parts of projectors inside a model's file."""

from __future__ import annotations

from collections.abc import Container, Mapping

from puna.engine.ollama_gguf.edit import Derived, as_f32, copy_keys
from puna.errors import LoadFailed
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

MEAN = f32((0.48145466, 0.4578275, 0.40821073))
STD = f32((0.26862954, 0.26130258, 0.27577711))
"""Those of CLIP."""

_SIZES = ("block_count", "embedding_length", "feed_forward_length", "image_size", "patch_size")
_SIZES += ("attention.head_count", "attention.layer_norm_epsilon")


def sizes(file: GGUFFile, architecture: str, encoder: str = "vision") -> dict[str, bytes]:
    """The sizes of an encoder, "vision" or "audio", in a file of `architecture`, under libmtmd's keys."""
    keys = {f"clip.{encoder}.{size}": f"{architecture}.{encoder}.{size}" for size in _SIZES}
    keys[f"clip.{encoder}.projection_dim"] = f"{architecture}.embedding_length"
    return copy_keys(file, keys)


def colours(file: GGUFFile, architecture: str) -> dict[str, bytes]:
    """The mean and the deviation of colours, by default `HALF`, under libmtmd's keys."""
    values = {"clip.vision.image_mean": HALF, "clip.vision.image_std": HALF}
    for key in values:
        old = key.replace("clip", architecture, 1)
        given = file.metadata.get(old)
        if isinstance(given, list) and len(given) == 3:
            values |= copy_keys(file, {key: old})
    return values


def frames(file: GGUFFile, name: str, channels: int) -> dict[str, str | Derived]:
    """The patch embedding for two frames of a video, split into one for each, in F32. Raises LoadFailed."""
    whole = file.tensors.get(name)
    if whole is None or len(whole.shape) != 4 or whole.shape[2] != 2 or whole.shape[3] % max(channels, 1):
        raise LoadFailed(f"unable to load model: {name} does not have the shape of two frames")
    width, height, _, rows = whole.shape
    shape = (width, height, channels, rows // channels)

    def frame(at: int) -> Derived:
        return Derived((name,), shape, lambda values: values[:, at])

    return {"v.patch_embd.weight": frame(0), "v.patch_embd.weight.1": frame(1)}


def renamed(name: str, parts: Mapping[str, str]) -> str:
    """`name` with each of `parts` replaced in turn."""
    for old, new in parts.items():
        name = name.replace(old, new)
    return name


def projector_tensors(
    file: GGUFFile, parts: Mapping[str, str], to_f32: Container[str] = (), prefixes: tuple[str, ...] = INSIDE
) -> dict[str, str | Derived]:
    """The projector's tensors, with `parts` of their names replaced; those in `to_f32` converted."""
    names = {renamed(old, parts): old for old in file.tensors if old.startswith(prefixes)}
    return {new: as_f32(file, old) if new in to_f32 else old for new, old in names.items()}
