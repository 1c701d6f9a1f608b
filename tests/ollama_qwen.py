"""Qwen 3 VL and Qwen 3.5 as one file, as Ollama's own converter writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader

from tests.ollama_models import Stored, rewritten

_NAMES = {
    "v.position_embd.": "v.pos_embed.",
    "v.patch_embd.bias": "v.patch_embed.bias",
    "v.post_ln.": "v.merger.norm.",
    "mm.0.": "v.merger.linear_fc1.",
    "mm.2.": "v.merger.linear_fc2.",
    "v.deepstack.0.": "v.deepstack_merger.0.",
    "v.deepstack.1.": "v.deepstack_merger.1.",
    ".fc1.": ".linear_fc1.",
    ".fc2.": ".linear_fc2.",
    ".ffn_up.": ".mlp.linear_fc1.",
    ".ffn_down.": ".mlp.linear_fc2.",
    ".ln1.": ".norm1.",
    ".ln2.": ".norm2.",
}
_SIZES = ("block_count", "embedding_length", "patch_size", "spatial_merge_size", "attention.head_count")
_SIZES += ("image_mean", "image_std")


def qwen3vl(model: Path, projector: Path, target: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A Qwen 3 VL, whose encoder's first and second layer give deep rows. `without`: keys that it lacks."""
    return rewritten(
        [model, projector],
        target,
        "qwen3vl",
        tensor=_named,
        repacked=_seeing,
        without=tuple(f"qwen3vl.{key}" for key in without),
        more=_vision(projector, "qwen3vl") | {"qwen3vl.vision.deepstack_visual_indexes": [0, 1]},
    )


def qwen35(model: Path, projector: Path | None, target: Path, *, raised: bool = False) -> Path:
    """A Qwen 3.5, or its language model alone. `raised`: its MTP layer's norms are around 1."""
    fields = GGUFReader(model).fields
    name = fields["general.architecture"].contents()
    layers = fields[f"{name}.block_count"].contents() - fields[f"{name}.nextn_predict_layers"].contents()
    names = {tensor.name for tensor in GGUFReader(model).tensors}
    recurrent = [f"blk.{number}.ssm_a" in names for number in range(layers)]
    heads = fields[f"{name}.attention.head_count_kv"].contents()
    more = {
        f"{name}.block_count": layers,
        f"{name}.attention.head_count_kv": [0 if here else heads for here in recurrent],
        f"{name}.rope.dimension_sections": fields[f"{name}.rope.dimension_sections"].contents()[:3],
    }
    return rewritten(
        [model, *([projector] if projector else [])],
        target,
        name,
        tensor=_named,
        repacked=lambda tensors: _drafting(_seeing(tensors), f"blk.{layers}.", raised),
        without=(*more, f"{name}.nextn_predict_layers"),
        more=more | (_vision(projector, name) if projector else {}),
    )


def _vision(projector: Path, name: str) -> dict[str, object]:
    fields = GGUFReader(projector).fields
    return {f"{name}.vision.{size}": fields[f"clip.vision.{size}"].contents() for size in _SIZES}


def _named(name: str) -> str:
    if name.startswith(("v.", "mm.")):
        for part, other in _NAMES.items():
            name = name.replace(part, other)
    return name.replace(".ssm_dt.bias", ".ssm_dt")


def _seeing(tensors: Stored) -> Stored:
    """The projector with one patch embedding, and with queries, keys and values apart."""
    made: Stored = {}
    for name, (values, kind) in tensors.items():
        if name.startswith("v.blk.") and "attn_qkv" in name:
            for part, third in zip("qkv", np.split(values, 3), strict=True):
                # Ollama's files have values in another type than queries and keys.
                wide = part == "v" and ".0." in name
                made[name.replace("qkv", part)] = (
                    (third.astype(np.float32), GGMLQuantizationType.F32) if wide else (third, kind)
                )
        elif not name.startswith("v.patch_embd."):
            made[name] = values, kind
    if "v.patch_embd.weight" in tensors:
        frames = [tensors[f"v.patch_embd.weight{end}"][0] for end in ("", ".1")]
        whole = np.stack(frames, axis=2)
        made["v.patch_embed.weight"] = whole.reshape(-1, *whole.shape[2:]), GGMLQuantizationType.F16
    return made


_HEAD = {
    "nextn.eh_proj.weight": "mtp.fc.weight",
    "nextn.enorm.weight": "mtp.pre_fc_norm_embedding.weight",
    "nextn.hnorm.weight": "mtp.pre_fc_norm_hidden.weight",
    "nextn.shared_head_norm.weight": "mtp.norm.weight",
    "nextn.shared_head_head.weight": "mtp.shared_head.head.weight",
}


def _drafting(tensors: Stored, block: str, raised: bool) -> Stored:
    """`tensors` with the MTP layer, `block`, under its own names, and with norms around 0."""
    made: Stored = {}
    for name, (values, kind) in tensors.items():
        part = name.removeprefix(block)
        if part == name:
            made[name] = values, kind
        elif part.endswith("_exps.weight"):
            proj = part.removeprefix("ffn_").replace("_exps", "_proj")
            for number, expert in enumerate(values):
                made[f"mtp.layers.0.mlp.experts.{number}.{proj}"] = expert, kind
        else:
            layer_norm = part.endswith("_norm.weight") and part not in _HEAD
            lowered = part in ("nextn.enorm.weight", "nextn.hnorm.weight", "nextn.shared_head_norm.weight")
            shift = np.float32(lowered or (layer_norm and not raised))
            made[_HEAD.get(part, f"mtp.layers.0.{part}")] = (values - shift if shift else values), kind
    return made
