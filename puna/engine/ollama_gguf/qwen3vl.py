"""Qwen 3 VL, and the projector of Qwen 3.5 too (file: Ollama llama/compat, handle_qwen3vl and …_clip)."""

from __future__ import annotations

import re
from math import isqrt

from puna.engine.ollama_gguf.edit import (
    Derived,
    Edit,
    columns_rows,
    copy_keys,
    joined,
    number,
    numbers,
    without,
)
from puna.engine.ollama_gguf.projectors import CLIP, INSIDE, colours, frames, projector_tensors, sizes
from puna.gguf import GGUFFile, f32, flag, i32, string, u32

_SECTIONS = i32((24, 20, 20, 0))  # the same for the whole family
_LARGEST = 1 << 16
"""Pixels of a side that no picture has."""

_NAMES = {
    "v.patch_embed.": "v.patch_embd.",
    "v.pos_embed.": "v.position_embd.",
    "v.merger.norm.": "v.post_ln.",
    "v.merger.linear_fc1.": "mm.0.",
    "v.merger.linear_fc2.": "mm.2.",
    ".mlp.linear_fc1.": ".ffn_up.",
    ".mlp.linear_fc2.": ".ffn_down.",
    ".norm1.": ".ln1.",
    ".norm2.": ".ln2.",
    ".linear_fc": ".fc",
}
_TO_F32 = ("v.position_embd.weight",)
_QUERY = re.compile(r"(v\.blk\.\d+\.attn_)q(\.weight|\.bias)")


def text(file: GGUFFile) -> Edit | None:
    """Removes the projector, and adds values that older converters did not write; None if nothing changes."""
    name = file.metadata.architecture
    tensors = without(file, *INSIDE)
    values: dict[str, bytes] = {}
    if f"{name}.rope.dimension_sections" not in file.metadata.values:
        values[f"{name}.rope.dimension_sections"] = _SECTIONS
    if f"{name}.n_deepstack_layers" not in file.metadata.values:
        values[f"{name}.n_deepstack_layers"] = u32(len(_deep_layers(file)))
    return Edit(tensors, values) if values or len(tensors) < len(file.tensors) else None


def projector(file: GGUFFile) -> Edit:
    """The projector alone, with libmtmd's names, joined queries, keys and values, and frames apart."""
    name = file.metadata.architecture
    side = isqrt(columns_rows(file, "v.pos_embed.weight")[1])
    size = side * number(file, f"{name}.vision.patch_size")
    inner = columns_rows(file, "v.blk.0.mlp.linear_fc1.weight")[1]
    values = {
        "clip.vision.attention.layer_norm_epsilon": f32(1e-6),
        "clip.vision.feed_forward_length": u32(inner),
        "clip.vision.image_size": u32(min(size, _LARGEST)),
    }
    values |= CLIP | sizes(file, name) | colours(file, name)
    values |= copy_keys(file, {"clip.vision.spatial_merge_size": f"{name}.vision.spatial_merge_size"})
    values |= {"clip.projector_type": string("qwen3vl_merger"), "clip.use_gelu": flag(True)}
    deep = {
        f"v.deepstack_merger.{at}.": f"v.deepstack.{layer}." for at, layer in enumerate(_deep_layers(file))
    }
    tensors = projector_tensors(file, deep | _NAMES, _TO_F32)
    patches = frames(file, "v.patch_embed.weight", number(file, f"{name}.vision.num_channels", 3))
    return Edit(_joined_attention(file, tensors) | patches, values, inherits=False)


def _deep_layers(file: GGUFFile) -> list[int]:
    """The encoder's layers whose outputs go into the model's first layers."""
    return numbers(file, f"{file.metadata.architecture}.vision.deepstack_visual_indexes")


def _joined_attention(file: GGUFFile, tensors: dict[str, str | Derived]) -> dict[str, str | Derived]:
    """`tensors` with queries, keys and values as one."""
    tensors = dict(tensors)
    for query in filter(_QUERY.fullmatch, list(tensors)):
        parts = [_QUERY.sub(rf"\g<1>{part}\g<2>", query) for part in "qkv"]
        if len({file.tensors[part].shape if part in file.tensors else None for part in parts}) == 1:
            tensors[_QUERY.sub(r"\g<1>qkv\g<2>", query)] = joined(file, *parts)
            for part in parts:
                del tensors[part]
    return tensors
