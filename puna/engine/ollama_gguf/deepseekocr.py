"""DeepSeek-OCR, which has two encoders (file: Ollama llama/compat, handle_deepseekocr and …_clip)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, as_f32, columns_rows, copy_keys, copy_prefix, number, without
from puna.engine.ollama_gguf.projectors import CLIP, INSIDE, colours, projector_tensors, renamed, sizes
from puna.gguf import GGUFFile, f32, flag, string, u32

_OLD, _NEW = "deepseekocr.", "deepseek2-ocr."
_SAM = "s."
"""Prefix of the first encoder's tensors; the other's is "v."."""

_NAMES = {
    ".self_attn.out_proj.": ".attn_out.",
    ".self_attn.qkv_proj.": ".attn_qkv.",
    ".layer_norm1.": ".ln1.",
    ".layer_norm2.": ".ln2.",
    ".mlp.fc1.": ".ffn_up.",
    ".mlp.fc2.": ".ffn_down.",
    "v.pre_layrnorm.": "v.pre_ln.",
    "mm.layers.": "mm.model.fc.",
    "mm.image_newline": "v.image_newline",
    "mm.view_seperator": "v.view_seperator",
}
_SAM_NAMES = {
    ".attn.proj.": ".attn.out.",
    ".attn.rel_pos_h": ".attn.pos_h.weight",
    ".attn.rel_pos_w": ".attn.pos_w.weight",
    ".norm1.": ".pre_ln.",
    ".norm2.": ".post_ln.",
    "s.position_embd": "s.pos_embd.weight",
}
_TO_F32 = ("patch_embd", "position_embd", "pos_embd", ".pos_h", ".pos_w", ".neck.", ".net_")
"""In the names of tensors that llama.cpp's converter keeps in F32."""

_SIZES = {
    "attention.head_count": "vision.head_count",
    "sam.block_count": "sam.block_count",
    "sam.embedding_length": "sam.embedding_length",
    "sam.head_count": "sam.head_count",
}
_WINDOW = 14
"""Patches of a side within which most layers of the first encoder attend."""


def text(file: GGUFFile) -> Edit:
    """Removes the projector, renames the architecture, and adds the experts' sizes."""
    values = copy_prefix(file, _OLD, _NEW) | {"general.architecture": string("deepseek2-ocr")}
    values.setdefault(f"{_NEW}attention.layer_norm_rms_epsilon", f32(1e-6))
    block = f"blk.{number(file, f'{_OLD}leading_dense_block_count')}"
    size, shared = (columns_rows(file, f"{block}.ffn_down_{part}.weight")[0] for part in ("exps", "shexp"))
    if size:
        values.setdefault(f"{_NEW}expert_feed_forward_length", u32(size))
        values.setdefault(f"{_NEW}expert_shared_count", u32(shared // size))
    return Edit(without(file, *INSIDE, _SAM), values)


def projector(file: GGUFFile) -> Edit:
    """Both encoders and the projector alone, with libmtmd's names."""
    keys = {f"clip.vision.{new}": _OLD + old for new, old in _SIZES.items()}
    inner = columns_rows(file, "v.blk.0.mlp.fc1.weight")[1]
    values = {
        "clip.vision.attention.layer_norm_epsilon": f32(1e-6),
        "clip.vision.feed_forward_length": u32(inner),
        "clip.vision.window_size": u32(_WINDOW),
    }
    values |= CLIP | sizes(file, "deepseekocr") | colours(file, "deepseekocr") | copy_keys(file, keys)
    values |= {"clip.projector_type": string("deepseekocr"), "clip.use_gelu": flag(True)}
    tensors = projector_tensors(file, _NAMES)
    sam = (name for name in file.tensors if name.startswith(_SAM))
    tensors |= {f"v.sam.{renamed(old, _SAM_NAMES).removeprefix(_SAM)}": old for old in sam}
    for new, old in tensors.items():
        if isinstance(old, str) and any(part in new for part in _TO_F32):
            tensors[new] = as_f32(file, old)
    return Edit(tensors, values, inherits=False)
