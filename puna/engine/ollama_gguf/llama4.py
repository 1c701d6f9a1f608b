"""The projector of a Llama 4 (file: Ollama llama/compat, handle_llama4_clip; convert/convert_llama4.go)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, copy_keys
from puna.engine.ollama_gguf.projectors import CLIP, HALF, projector_tensors, sizes
from puna.gguf import GGUFFile, flag, string, u32

_NAMES = {
    "v.vision_adapter.mlp.fc1.": "mm.model.mlp.1.",
    "v.vision_adapter.mlp.fc2.": "mm.model.mlp.2.",
    "mm.linear_1.": "mm.model.fc.",
    "v.class_embedding": "v.class_embd",
    "v.positional_embedding_vlm": "v.position_embd.weight",
    "v.patch_embedding.": "v.patch_embd.",
    "v.layernorm_pre.": "v.pre_ln.",
    "v.layernorm_post.": "v.post_ln.",
    ".attn_output.": ".attn_out.",
    ".attn_norm.": ".ln1.",
    ".ffn_norm.": ".ln2.",
    ".mlp.fc1.": ".ffn_up.",
    ".mlp.fc2.": ".ffn_down.",
}
_TO_F32 = ("v.patch_embd.weight", "v.position_embd.weight")


def projector(file: GGUFFile) -> Edit:
    """The projector alone, with libmtmd's names."""
    ratio = file.metadata.get("llama4.vision.pixel_shuffle_ratio")
    merged = round(1 / ratio) if isinstance(ratio, float) and 0.01 < ratio <= 1 else 2
    values = CLIP | sizes(file, "llama4")
    values |= copy_keys(
        file, {"clip.vision.attention.layer_norm_epsilon": "llama4.vision.layer_norm_epsilon"}
    )
    values |= {
        "clip.projector_type": string("llama4"),
        "clip.use_gelu": flag(True),
        "clip.vision.projector.scale_factor": u32(merged),
        "clip.vision.image_mean": HALF,
        "clip.vision.image_std": HALF,
    }
    return Edit(projector_tensors(file, _NAMES, _TO_F32), values, inherits=False)
