"""Nemotron 3 Omni (file: Ollama llama/compat, handle_nemotron_h_omni and …_clip; convert_nemotron_h.go).

Ollama does not read its encoder of sounds; libmtmd's names for that are in llama.cpp tools/mtmd (parakeet).
"""

from __future__ import annotations

from functools import partial
from math import isqrt

import numpy as np

from puna.engine.ollama_gguf.edit import (
    Derived,
    Edit,
    Floats,
    as_f32,
    columns_rows,
    copy_keys,
    copy_prefix,
    number,
    without,
)
from puna.engine.ollama_gguf.nemotron_h_moe import latent_named, latent_size
from puna.engine.ollama_gguf.projectors import CLIP, INSIDE, projector_tensors, sizes
from puna.gguf import GGUFFile, flag, string

_OLD = "nemotron_h_omni"
_SIGHT = {
    "v.cls_embd": "v.class_embd",
    "mm.norm.": "mm.model.mlp.0.",
    "mm.1.": "mm.model.mlp.1.",
    "mm.2.": "mm.model.mlp.3.",
}
_SOUND = {
    "a.feature_extractor.fb": "a.mel_filters",
    "a.feature_extractor.window": "a.window",
    "a.subsampling.conv0.": "a.conv1d.0.",
    "a.subsampling.dw1.": "a.conv1d.2.",
    "a.subsampling.pw1.": "a.conv1d.3.",
    "a.subsampling.dw2.": "a.conv1d.5.",
    "a.subsampling.pw2.": "a.conv1d.6.",
    "a.subsampling.linear.": "a.pre_encode.out.",
    ".ffn1_norm.": ".ffn_norm.",
    ".ffn1_up.": ".ffn_up.",
    ".ffn1_down.": ".ffn_down.",
    ".ffn2_norm.": ".ffn_norm_1.",
    ".ffn2_up.": ".ffn_up_1.",
    ".ffn2_down.": ".ffn_down_1.",
    ".attn_norm.": ".ln1.",
    ".out_norm.": ".ln2.",
    ".attn_rel_k.": ".linear_pos.",
    ".attn_bias_": ".pos_bias_",
    ".conv_norm.": ".norm_conv.",
    ".conv_bn.running_": ".conv_norm_",
    ".conv_bn.": ".conv_norm.",
    "mm.a.norm.": "mm.a.norm_pre.",
    "mm.a.1.": "mm.a.mlp.1.",
    "mm.a.2.": "mm.a.mlp.2.",
}


def text(file: GGUFFile) -> Edit:
    """Removes the encoders and the MTP layer, and renames the architecture and latent projections."""
    experts = number(file, f"{_OLD}.expert_count") or number(file, f"{_OLD}.expert_used_count")
    new = "nemotron_h_moe" if experts else "nemotron_h"
    values = copy_prefix(file, f"{_OLD}.", f"{new}.") | {"general.architecture": string(new)}
    values |= latent_size(file, new)
    return Edit(latent_named(without(file, *INSIDE, "a.", "mtp.")), values)


def projector(file: GGUFFile) -> Edit:
    """The encoders of pictures and of sounds, with libmtmd's names."""
    values = CLIP | sizes(file, _OLD)
    copied = ("projector.scale_factor", "image_mean", "image_std")
    values |= copy_keys(file, {f"clip.vision.{key}": f"{_OLD}.vision.{key}" for key in copied})
    values |= {"clip.vision.projector_type": string("nemotron_v2_vl"), "clip.use_gelu": flag(True)}
    tensors = projector_tensors(file, _SIGHT, ("v.class_embd",), ("v.", *_SIGHT))
    tensors |= _patches(file)
    tensors.pop("v.position_embd", None)
    tensors |= _positions(file)
    if sound := projector_tensors(file, _SOUND, prefixes=("a.", "mm.a.")):
        tensors |= {name: _shaped(file, name, source) for name, source in sound.items()}
        copied = ("num_mel_bins", "conv_kernel_size", "subsampling_factor")
        values |= copy_keys(file, {f"clip.audio.{key}": f"{_OLD}.audio.{key}" for key in copied})
        values |= sizes(file, _OLD, "audio") | {
            "clip.has_audio_encoder": flag(True),
            "clip.audio.projector_type": string("parakeet"),
        }
    return Edit(tensors, values, inherits=False)


def _patches(file: GGUFFile) -> dict[str, Derived]:
    """The matrix that reads a patch, as a convolution."""
    name, patch = "v.patch_embd.weight", number(file, f"{_OLD}.vision.patch_size")
    columns, rows = columns_rows(file, name)
    if not columns or columns != 3 * patch**2:
        return {}
    return {name: Derived((name,), (patch, patch, 3, rows), lambda values: values)}


def _positions(file: GGUFFile) -> dict[str, Derived]:
    """The embeddings of a square of places; the file's square is larger than a picture."""
    new = "v.position_embd.weight"
    name = new if new in file.tensors else "v.position_embd"
    if name not in file.tensors:
        return {}
    columns, rows = columns_rows(file, name)
    side, patch = isqrt(rows), number(file, f"{_OLD}.vision.patch_size")
    wanted = number(file, f"{_OLD}.vision.image_size") // max(patch, 1)
    if side**2 != rows or not 0 < wanted < side:
        return {new: as_f32(file, name)}
    return {new: Derived((name,), (columns, wanted**2), partial(_shrunk, side, wanted))}


def _shrunk(side: int, wanted: int, values: Floats) -> Floats:
    """A square of `wanted` × `wanted` places between those of a square, with the same corners."""
    at = np.linspace(0, side - 1, wanted, dtype=np.float32)
    shares = np.maximum(1 - np.abs(at[:, None] - np.arange(side, dtype=np.float32)), 0)
    square = values.reshape(side, side, -1)
    return np.einsum("yi,xj,ijn->yxn", shares, shares, square, optimize=True)


def _shaped(file: GGUFFile, name: str, source: str | Derived) -> str | Derived:
    """A tensor of the encoder of sounds in libmtmd's type and shape."""
    if not isinstance(source, str):
        return source
    if ".pos_bias_" in name:
        return as_f32(file, source)
    if name.startswith("a.conv1d.") and name.endswith(".bias"):
        return Derived((source,), (1, 1, columns_rows(file, source)[0], 1))
    return source
