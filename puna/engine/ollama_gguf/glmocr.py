"""GLM-OCR as a GLM-4 (file: Ollama llama/compat, handle_glmocr and …_clip; convert/convert_glmocr.go)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import (
    Derived,
    Edit,
    copy_keys,
    copy_prefix,
    four_sections,
    joined,
    without,
)
from puna.engine.ollama_gguf.projectors import CLIP, INSIDE, colours, projector_tensors, renamed, sizes
from puna.gguf import GGUFFile, flag, string

_OLD, _NEW = "glmocr.", "glm4."

_TEXT_NAMES = {
    ".attn_out.": ".attn_output.",
    ".post_attn_norm.": ".post_attention_norm.",
    ".post_ffn_norm.": ".post_ffw_norm.",
}
_NAMES = {
    "v.patch_embd_0.weight": "v.patch_embd.weight",
    "v.patch_embd_1.weight": "v.patch_embd.weight.1",
}
_SIZES = {
    "attention.layer_norm_epsilon": "attention.layer_norm_rms_epsilon",
    "feed_forward_length": "intermediate_size",
    "projection_dim": "out_hidden_size",
    "spatial_merge_size": "spatial_merge_size",
}


def text(file: GGUFFile) -> Edit:
    """Removes the projector, renames architecture and tensors, and joins the gates with what they open."""
    values = copy_prefix(file, _OLD, _NEW)
    values |= {"general.architecture": string("glm4"), "tokenizer.ggml.pre": string("chatglm-bpe")}
    values |= four_sections(file, f"{_OLD}rope.mrope_section", f"{_NEW}rope.dimension_sections")
    tensors: dict[str, str | Derived] = {}
    for old in without(file, *INSIDE):
        gate = old.replace(".ffn_up.", ".ffn_gate.")
        if ".ffn_gate." not in old:
            tensors[renamed(old, _TEXT_NAMES)] = (
                joined(file, gate, old) if gate != old and gate in file.tensors else old
            )
    return Edit(tensors, values)


def projector(file: GGUFFile) -> Edit:
    """The projector alone, with libmtmd's names."""
    keys = {f"clip.vision.{new}": f"{_OLD}vision.{old}" for new, old in _SIZES.items()}
    values = CLIP | sizes(file, "glmocr") | colours(file, "glmocr") | copy_keys(file, keys)
    values |= {"clip.projector_type": string("glm4v"), "clip.use_silu": flag(True)}
    return Edit(projector_tensors(file, _NAMES, tuple(_NAMES.values())), values, inherits=False)
