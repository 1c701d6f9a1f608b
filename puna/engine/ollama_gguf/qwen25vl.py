"""Qwen 2.5 VL under Ollama's name for it (file: Ollama llama/compat, handle_qwen25vl and …_clip)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import (
    Edit,
    columns_rows,
    copy_keys,
    copy_prefix,
    four_sections,
    number,
    numbers,
    without,
)
from puna.engine.ollama_gguf.projectors import CLIP, INSIDE, MEAN, STD, projector_tensors, sizes
from puna.gguf import GGUFFile, flag, string, u32

_NAMES = {
    "v.merger.ln_q.": "v.post_ln.",
    "v.merger.mlp.": "mm.",
    "v.patch_embd_0.weight": "v.patch_embd.weight",
    "v.patch_embd_1.weight": "v.patch_embd.weight.1",
}
_TO_F32 = ("v.patch_embd.weight", "v.patch_embd.weight.1")


def text(file: GGUFFile) -> Edit:
    """Removes the projector, and renames the architecture to libllama's."""
    values = copy_prefix(file, "qwen25vl.", "qwen2vl.") | {"general.architecture": string("qwen2vl")}
    values |= four_sections(file, "qwen25vl.rope.mrope_section", "qwen2vl.rope.dimension_sections")
    return Edit(without(file, *INSIDE), values)


def projector(file: GGUFFile) -> Edit:
    """The projector alone, with libmtmd's names."""
    values = CLIP | sizes(file, "qwen25vl")
    values |= copy_keys(
        file,
        {
            f"clip.vision.{size}": f"qwen25vl.vision.{size}"
            for size in ("num_channels", "spatial_merge_size", "window_size")
        },
    )
    if inner := columns_rows(file, "v.blk.0.ffn_up.weight")[1]:
        values.setdefault("clip.vision.feed_forward_length", u32(inner))
    first = next(iter(numbers(file, "qwen25vl.vision.fullatt_block_indexes")), 7)
    values |= {
        "clip.projector_type": string("qwen2.5vl_merger"),
        "clip.use_silu": flag(True),
        "clip.vision.n_wa_pattern": u32(first + 1),
        "clip.vision.image_size": u32(number(file, "qwen25vl.vision.image_size", 560)),
        "clip.vision.image_mean": MEAN,
        "clip.vision.image_std": STD,
    }
    return Edit(projector_tensors(file, _NAMES, _TO_F32), values, inherits=False)
