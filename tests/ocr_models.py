"""Small random models that read pages: GLM-OCR, and DeepSeek-OCR with its two encoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tests.model_parts import F32, Shape, Weights, add_decoder, byte_vocabulary, finish, model_writer

_INNER, _FFN, _BLOCKS, _HEADS = 64, 96, 2, 2


def glmocr_model(folder: Path) -> tuple[Path, Path]:
    """Write a GLM-OCR and its projector as libllama and libmtmd want them."""
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    of = Shape()
    writer = model_writer(model, "glm4", "x", byte_vocabulary(of.vocab), None, 1024)
    add_decoder(writer, of)
    writer.add_rope_dimension_sections([8, 4, 4, 0])
    weights = Weights(writer, 0, F32)
    weights.embedding_and_output(of)
    weights.norm("output_norm", of.width)
    for block in of.blocks:
        weights.attention(block, of)
        for norm in ("post_attention_norm", "ffn_norm", "post_ffw_norm"):
            weights.norm(f"{block}.{norm}", of.width)
        weights.matrix(f"{block}.ffn_up", 2 * of.ffn, of.width)
        weights.matrix(f"{block}.ffn_down", of.width, of.ffn)
    finish(writer)

    patch = 14
    writer = _projector_writer(projector, "glm4v", of.width, image_size=336, patch_size=patch)
    writer.add_bool("clip.use_silu", True)
    writer.add_uint32("clip.vision.spatial_merge_size", 2)
    weights = Weights(writer, 1, F32)
    for at, name in enumerate(("v.patch_embd.weight", "v.patch_embd.weight.1")):
        _kernel(writer, name, _INNER, 3, patch, at)
    weights.vector("v.patch_embd.bias", _INNER)
    for block in (f"v.blk.{number}" for number in range(_BLOCKS)):
        weights.norm(f"{block}.ln1", _INNER)
        weights.norm(f"{block}.ln2", _INNER)
        weights.biased_matrix(f"{block}.attn_qkv", 3 * _INNER, _INNER)
        weights.biased_matrix(f"{block}.attn_out", _INNER, _INNER)
        for norm in ("attn_q_norm", "attn_k_norm"):
            weights.norm(f"{block}.{norm}", _INNER // _HEADS)
        weights.biased_matrix(f"{block}.ffn_gate", _FFN, _INNER)
        weights.biased_matrix(f"{block}.ffn_up", _FFN, _INNER)
        weights.biased_matrix(f"{block}.ffn_down", _INNER, _FFN)
    weights.norm("v.post_ln", _INNER)
    _kernel(writer, "mm.patch_merger.weight", of.width, _INNER, 2, 3)
    weights.vector("mm.patch_merger.bias", of.width)
    weights.matrix("mm.model.fc", of.width, of.width)
    weights.biased_norm("mm.post_norm", of.width)
    weights.matrix("mm.gate", _FFN, of.width)
    weights.matrix("mm.up", _FFN, of.width)
    weights.matrix("mm.down", of.width, _FFN)
    finish(writer)
    return model, projector


def deepseekocr_model(folder: Path) -> tuple[Path, Path]:
    """Write a DeepSeek-OCR and its projector as libllama and libmtmd want them."""
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    of = Shape(kv_heads=2)
    experts, shared = 2, 2
    writer = model_writer(model, "deepseek2-ocr", "x", byte_vocabulary(of.vocab), None, 4096)
    add_decoder(writer, of)
    writer.add_leading_dense_block_count(1)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(1)
    writer.add_expert_feed_forward_length(of.ffn)
    writer.add_expert_shared_count(shared)
    weights = Weights(writer, 0, F32)
    weights.embedding_and_output(of)
    weights.norm("output_norm", of.width)
    dense, mixed = of.blocks
    weights.attention(dense, of)
    weights.feed_forward(dense, of)
    weights.attention(mixed, of)
    weights.norm(f"{mixed}.ffn_norm", of.width)
    weights.matrix(f"{mixed}.ffn_gate_inp", experts, of.width)
    for part, rows, columns in (
        ("gate", of.ffn, of.width),
        ("up", of.ffn, of.width),
        ("down", of.width, of.ffn),
    ):
        weights.experts(f"{mixed}.ffn_{part}_exps", experts, rows, columns)
    weights.matrix(f"{mixed}.ffn_gate_shexp", shared * of.ffn, of.width)
    weights.matrix(f"{mixed}.ffn_up_shexp", shared * of.ffn, of.width)
    weights.matrix(f"{mixed}.ffn_down_shexp", of.width, shared * of.ffn)
    finish(writer)

    writer = _projector_writer(projector, "deepseekocr", of.width, image_size=224, patch_size=14)
    writer.add_bool("clip.use_gelu", True)
    writer.add_uint32("clip.vision.window_size", 14)
    _encoders(writer, of.width)
    finish(writer)
    return model, projector


def _encoders(writer: GGUFWriter, width: int) -> None:
    weights = Weights(writer, 1, F32)
    sam, neck = 16, 16
    patches = (14, 14, 64)  # of a side that each block attends to; libmtmd's third one sees everything
    writer.add_uint32("clip.vision.sam.block_count", len(patches))
    writer.add_uint32("clip.vision.sam.embedding_length", sam)
    writer.add_uint32("clip.vision.sam.head_count", 1)
    random = np.random.default_rng(2)
    writer.add_tensor("v.sam.pos_embd.weight", random.standard_normal((1, 64, 64, sam)).astype(np.float32))
    _kernel(writer, "v.sam.patch_embd.weight", sam, 3, 16, 0)
    weights.vector("v.sam.patch_embd.bias", sam)
    for number, most in enumerate(patches):
        block = f"v.sam.blk.{number}"
        weights.biased_norm(f"{block}.pre_ln", sam)
        weights.biased_norm(f"{block}.post_ln", sam)
        weights.biased_matrix(f"{block}.attn.qkv", 3 * sam, sam)
        weights.biased_matrix(f"{block}.attn.out", sam, sam)
        for side in ("pos_h", "pos_w"):
            weights.matrix(f"{block}.attn.{side}", 2 * most - 1, sam)
        weights.biased_matrix(f"{block}.mlp.lin1", 2 * sam, sam)
        weights.biased_matrix(f"{block}.mlp.lin2", sam, 2 * sam)
    _kernel(writer, "v.sam.neck.0.weight", neck, sam, 1, 1)
    weights.biased_norm("v.sam.neck.1", neck)
    _kernel(writer, "v.sam.neck.2.weight", neck, neck, 3, 2)
    weights.biased_norm("v.sam.neck.3", neck)
    _kernel(writer, "v.sam.net_2.weight", 32, neck, 3, 3)
    _kernel(writer, "v.sam.net_3.weight", _INNER, 32, 3, 4)

    _kernel(writer, "v.patch_embd.weight", _INNER, 3, 14, 5)
    weights.vector("v.class_embd", _INNER)
    positions = random.standard_normal((257, _INNER)).astype(np.float16)
    writer.add_tensor("v.position_embd.weight", positions.astype(np.float32))
    weights.biased_norm("v.pre_ln", _INNER)
    for block in (f"v.blk.{number}" for number in range(_BLOCKS)):
        weights.biased_norm(f"{block}.ln1", _INNER)
        weights.biased_norm(f"{block}.ln2", _INNER)
        weights.biased_matrix(f"{block}.attn_qkv", 3 * _INNER, _INNER)
        weights.biased_matrix(f"{block}.attn_out", _INNER, _INNER)
        weights.biased_matrix(f"{block}.ffn_up", _FFN, _INNER)
        weights.biased_matrix(f"{block}.ffn_down", _INNER, _FFN)
    weights.biased_matrix("mm.model.fc", width, 2 * _INNER)
    weights.vector("v.image_newline", width)
    weights.vector("v.view_seperator", width)


def _projector_writer(path: Path, kind: str, width: int, *, image_size: int, patch_size: int) -> GGUFWriter:
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(kind)
    writer.add_vision_image_size(image_size)
    writer.add_vision_patch_size(patch_size)
    writer.add_vision_embedding_length(_INNER)
    writer.add_vision_feed_forward_length(_FFN)
    writer.add_vision_projection_dim(width)
    writer.add_vision_block_count(_BLOCKS)
    writer.add_vision_head_count(_HEADS)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    return writer


def _kernel(writer: GGUFWriter, name: str, outputs: int, inputs: int, side: int, seed: int) -> None:
    """A convolution, whose numbers are exact in F16 too."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((outputs, inputs, side, side)) / (side * inputs**0.5)
    writer.add_tensor(name, values.astype(np.float16).astype(np.float32))
