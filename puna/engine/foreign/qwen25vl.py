"""Qwen 2.5 VL under Ollama's name for it (facts: Ollama llama/compat, handle_qwen25vl and …_clip)."""

from __future__ import annotations

import numpy as np

from puna.engine.foreign.edit import Edit, Facts, copied, number, own, renamed
from puna.engine.foreign.sight import CLIP, INSIDE, sizes

_NAMES = {
    "v.merger.ln_q.weight": "v.post_ln.weight",
    "v.merger.mlp.0.weight": "mm.0.weight",
    "v.merger.mlp.0.bias": "mm.0.bias",
    "v.merger.mlp.2.weight": "mm.2.weight",
    "v.merger.mlp.2.bias": "mm.2.bias",
    "v.patch_embd_0.weight": "v.patch_embd.weight",
    "v.patch_embd_1.weight": "v.patch_embd.weight.1",
}
_WIDENED = frozenset({"v.patch_embd.weight", "v.patch_embd.weight.1"})
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def text(facts: Facts) -> Edit:
    values = renamed(facts, "qwen25vl.", "qwen2vl.") | {"general.architecture": "qwen2vl"}
    sections = facts.get("qwen25vl.rope.mrope_section")
    if isinstance(sections, np.ndarray) and len(sections) >= 3:
        values["qwen2vl.rope.dimension_sections"] = np.array([*sections[:3], 0], np.int32)
    return Edit(own(facts.tensors, *INSIDE), values)


def sight(facts: Facts) -> Edit:
    values = CLIP | sizes(facts, "qwen25vl")
    values |= copied(
        facts,
        {
            f"clip.vision.{size}": f"qwen25vl.vision.{size}"
            for size in ("num_channels", "spatial_merge_size", "window_size")
        },
    )
    if inner := facts.tensors.get("v.blk.0.ffn_up.weight"):
        values.setdefault("clip.vision.feed_forward_length", np.uint32(inner[1]))
    whole = facts.get("qwen25vl.vision.fullatt_block_indexes")
    first = int(whole[0]) if isinstance(whole, np.ndarray) and len(whole) else 7
    values |= {
        "clip.projector_type": "qwen2.5vl_merger",
        "clip.use_silu": np.bool_(True),
        "clip.vision.n_wa_pattern": np.uint32(first + 1),
        "clip.vision.image_size": np.uint32(number(facts, "qwen25vl.vision.image_size", 560)),
        "clip.vision.image_mean": _MEAN,
        "clip.vision.image_std": _STD,
    }
    tensors = {_NAMES.get(old, old): old for old in facts.tensors if old.startswith(INSIDE)}
    return Edit(tensors, values, inherits=False, widened=_WIDENED)
