"""Gemma 3 (file: Ollama llama/compat, handle_gemma3 and handle_gemma3_clip; convert/convert_gemma3.go)."""

from __future__ import annotations

from math import isqrt

from puna.engine.ollama_gguf import embeddinggemma
from puna.engine.ollama_gguf.edit import Edit, columns_rows, copy_keys, number, without
from puna.engine.ollama_gguf.projectors import CLIP, HALF, INSIDE, projector_tensors, sizes
from puna.gguf import GGUFFile, f32, flag, string, u32

_ROPE = {
    "gemma3.rope.freq_base": "gemma3.rope.global.freq_base",
    "gemma3.rope.freq_base_swa": "gemma3.rope.local.freq_base",
}
_DEFAULTS: dict[str, bytes] = {
    "gemma3.attention.layer_norm_rms_epsilon": f32(1e-6),
    "gemma3.rope.freq_base": f32(1_000_000.0),
    "gemma3.rope.freq_base_swa": f32(10_000.0),
}
_LONG_CONTEXT = 131072
"""Context of the models with scaled positions: all but the 1B."""

_NAMES = {
    "v.patch_embedding.": "v.patch_embd.",
    "v.position_embedding.": "v.position_embd.",
    "v.post_layernorm.": "v.post_ln.",
    ".layer_norm1.": ".ln1.",
    ".layer_norm2.": ".ln2.",
    ".attn_output.": ".attn_out.",
    ".mlp.fc1.": ".ffn_up.",
    ".mlp.fc2.": ".ffn_down.",
    "mm.mm_input_projection.": "mm.input_projection.",
    "mm.mm_soft_emb_norm.": "mm.soft_emb_norm.",
}
_TO_F32 = ("v.patch_embd.weight", "v.position_embd.weight", "mm.input_projection.weight")


def text(file: GGUFFile) -> Edit | None:
    """Removes the projector, and adds values that older converters did not write; None if nothing changes."""
    if embeddinggemma.is_one(file):
        return embeddinggemma.text(file)
    tensors = without(file, *INSIDE)
    values = copy_keys(file, _ROPE)
    values = {key: value for key, value in _DEFAULTS.items() if key not in file.metadata.values} | values
    if len(tensors) == len(file.tensors) and not values:
        return None
    scaled = "gemma3.rope.scaling.factor" in file.metadata.values
    if number(file, "gemma3.context_length") >= _LONG_CONTEXT and not scaled:
        values |= {"gemma3.rope.scaling.type": string("linear"), "gemma3.rope.scaling.factor": f32(8.0)}
    rows = columns_rows(file, "token_embd.weight")[1]
    return Edit(tensors, values, vocabulary=rows or None)


def projector(file: GGUFFile) -> Edit:
    """The projector alone, with libmtmd's names."""
    values = CLIP | sizes(file, "gemma3")
    values |= {
        "clip.projector_type": string("gemma3"),
        "clip.use_gelu": flag(True),
        "clip.vision.image_mean": HALF,
        "clip.vision.image_std": HALF,
    }
    tokens = number(file, "gemma3.mm.tokens_per_image", 256)
    patches = number(file, "gemma3.vision.image_size") // max(number(file, "gemma3.vision.patch_size"), 1)
    if patches >= isqrt(tokens) > 0:
        values["clip.vision.projector.scale_factor"] = u32(patches // isqrt(tokens))
    return Edit(projector_tensors(file, _NAMES, _TO_F32), values, inherits=False)
