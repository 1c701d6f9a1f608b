"""Mistral 3 (file: Ollama llama/compat, handle_mistral3 and …_clip; convert/convert_mistral.go)."""

from __future__ import annotations

import re

import numpy as np

from puna.engine.ollama_gguf.edit import (
    Derived,
    Edit,
    columns_rows,
    copy_keys,
    long_list,
    number,
    without,
)
from puna.engine.ollama_gguf.projectors import CLIP, INSIDE, MEAN, STD, projector_tensors, sizes
from puna.gguf import GGUFFile, f32, flag, string, u32

_KEYS = {
    "mistral3.rope.scaling.yarn_beta_fast": "mistral3.rope.scaling.beta_fast",
    "mistral3.rope.scaling.yarn_beta_slow": "mistral3.rope.scaling.beta_slow",
    "mistral3.rope.scaling.yarn_log_multiplier": "mistral3.rope.scaling.mscale_all_dim",
    "mistral3.attention.temperature_scale": "mistral3.rope.scaling_beta",
}
_PRE = "tokenizer.ggml.pre"
_NAMES = {
    "v.patch_conv.": "v.patch_embd.",
    "v.encoder_norm.": "v.pre_ln.",
    ".attn_output.": ".attn_out.",
    ".attn_norm.": ".ln1.",
    ".ffn_norm.": ".ln2.",
    "mm.linear_1.": "mm.1.",
    "mm.linear_2.": "mm.2.",
    "mm.norm.": "mm.input_norm.",
    "mm.patch_merger.merging_layer.": "mm.patch_merger.",
}
_ROTATED = re.compile(r"v\.blk\.\d+\.attn_[qk]\.weight")


def text(file: GGUFFile) -> Edit | None:
    """Removes the projector, and adds values under llama.cpp's keys; None if nothing changes."""
    tensors = without(file, *INSIDE)
    values = copy_keys(file, _KEYS)
    if not values and len(tensors) == len(file.tensors):
        return None
    if file.metadata.get(_PRE) in (None, "", "default"):
        values[_PRE] = string("tekken")
    return Edit(tensors, values)


def projector(file: GGUFFile) -> Edit:
    """The projector alone, in libmtmd's form, with the embedding that ends a row of a picture."""
    values = CLIP | sizes(file, "mistral3")
    values.setdefault("clip.vision.attention.layer_norm_epsilon", f32(1e-5))
    values |= {
        "clip.projector_type": string("pixtral"),
        "clip.use_silu": flag(True),
        "clip.vision.spatial_merge_size": u32(number(file, "mistral3.spatial_merge_size", 2)),
        "clip.vision.image_mean": MEAN,
        "clip.vision.image_std": STD,
    }
    tensors = projector_tensors(file, _NAMES, ("v.patch_embd.weight",))
    heads = number(file, "mistral3.vision.attention.head_count")
    for name in filter(_ROTATED.fullmatch, tensors):
        tensors[name] = _in_pairs(file, name, heads)
    embeddings, names = "token_embd.weight", long_list(file, "tokenizer.ggml.tokens")
    columns, rows = columns_rows(file, embeddings)
    if "[IMG_BREAK]" in names[:rows]:
        row = names.index("[IMG_BREAK]")
        tensors["v.token_embd.img_break"] = Derived((embeddings,), (columns,), lambda row: row, rows=(row,))
    return Edit(tensors, values, inherits=False)


def _in_pairs(file: GGUFFile, name: str, heads: int) -> str | Derived:
    """A matrix whose rows are rotated in pairs: side by side for libmtmd, half a head apart in the file."""
    shape = file.tensors[name].shape
    if len(shape) != 2 or not heads or shape[1] % (2 * heads):
        return name
    order = np.arange(shape[1]).reshape(heads, 2, -1).swapaxes(1, 2).ravel()
    return Derived((name,), shape, rows=order.tolist())
