"""A Qwen 2.5 VL in libllama's form, and as Ollama's converter writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

from tests.model_parts import F32, Shape, Weights, add_decoder, byte_vocabulary, finish, model_writer
from tests.ollama_models import projector_renamed, rewritten

_PATCH, _INNER, _FFN, _BLOCKS = 14, 64, 96, 4


def qwen2vl(folder: Path) -> tuple[Path, Path]:
    """Write a random Qwen 2.5 VL and its projector as libllama and libmtmd want them."""
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    of = Shape()
    width = of.width
    writer = model_writer(model, "qwen2vl", "x", byte_vocabulary(of.vocab), None, 1024)
    add_decoder(writer, of)
    writer.add_rope_dimension_sections([8, 4, 4, 0])
    weights = Weights(writer, 0, F32)
    weights.embedding_and_output(of)
    weights.norm("output_norm", width)
    for block in weights.blocks(of):
        for part, size in (("attn_q", width), ("attn_k", of.head), ("attn_v", of.head)):
            weights.vector(f"{block}.{part}.bias", size)
    finish(writer)

    writer = GGUFWriter(projector, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("qwen2.5vl_merger")
    writer.add_bool("clip.use_silu", True)
    writer.add_vision_image_size(560)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_embedding_length(_INNER)
    writer.add_vision_feed_forward_length(_FFN)
    writer.add_vision_projection_dim(width)
    writer.add_vision_block_count(_BLOCKS)
    writer.add_vision_head_count(2)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_uint32("clip.vision.n_wa_pattern", 2)
    writer.add_vision_image_mean([0.48145466, 0.4578275, 0.40821073])
    writer.add_vision_image_std([0.26862954, 0.26130258, 0.27577711])
    weights = Weights(writer, 1, F32)
    random = np.random.default_rng(1)
    for name in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        kernel = random.standard_normal((_INNER, 3, _PATCH, _PATCH)) / (_PATCH * 3**0.5)
        writer.add_tensor(name, kernel.astype(np.float16).astype(np.float32))
    for block in (f"v.blk.{number}" for number in range(_BLOCKS)):
        weights.norm(f"{block}.ln1", _INNER)
        weights.norm(f"{block}.ln2", _INNER)
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            weights.biased_matrix(f"{block}.{part}", _INNER, _INNER)
        weights.biased_matrix(f"{block}.ffn_gate", _FFN, _INNER)
        weights.biased_matrix(f"{block}.ffn_up", _FFN, _INNER)
        weights.biased_matrix(f"{block}.ffn_down", _INNER, _FFN)
    weights.norm("v.post_ln", _INNER)
    weights.biased_matrix("mm.0", 4 * _INNER, 4 * _INNER)
    weights.biased_matrix("mm.2", width, 4 * _INNER)
    finish(writer)
    return model, projector


_QWEN25VL = {
    "v.post_ln.": "v.merger.ln_q.",
    "mm.": "v.merger.mlp.",
    "v.patch_embd.weight.1": "v.patch_embd_1.weight",
    "v.patch_embd.weight": "v.patch_embd_0.weight",
}


def qwen25vl(model: Path, projector: Path, target: Path) -> Path:
    """A Qwen 2.5 VL with its projector inside."""
    sizes = ("block_count", "embedding_length", "patch_size", "attention.head_count")
    sizes += ("attention.layer_norm_epsilon",)
    fields = GGUFReader(projector).fields
    vision = {f"qwen25vl.vision.{size}": fields[f"clip.vision.{size}"].contents() for size in sizes}
    return rewritten(
        [model, projector],
        target,
        "qwen25vl",
        key=lambda name: name.replace("qwen2vl.", "qwen25vl.").replace("dimension_sections", "mrope_section"),
        tensor=projector_renamed(_QWEN25VL),
        more={**vision, "qwen25vl.vision.fullatt_block_indexes": [1, 3]},
    )
