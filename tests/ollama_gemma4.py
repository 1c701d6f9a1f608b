"""A small random Gemma 4 that sees and hears, as libllama reads it and as Ollama's converter writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

from tests.model_parts import F32, Shape, Weights, add_decoder, byte_vocabulary, finish, model_writer
from tests.ollama_models import Stored, rewritten

_OF = Shape()
_PATCH, _PLACES, _INNER, _FFN, _HEADS, _BLOCKS = 4, 64, 32, 48, 2, 2
_BINS, _CHANNELS, _HEARD = 128, 8, 48

_CLAMPED = ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down")
_BOUNDS = {"input_min": -1.5, "input_max": 1.75, "output_min": -1.25, "output_max": 1.0}


def gemma4(folder: Path) -> tuple[Path, Path]:
    """Write the model and its projector as libllama and libmtmd want them."""
    spelled, model, projector = (folder / f"{name}.gguf" for name in ("spelled", "model", "projector"))
    _decoder(spelled)
    tokenizer = "tokenizer.ggml.model"
    rewritten([spelled], model, "gemma4", without=(tokenizer,), more={tokenizer: "gemma4"})
    writer = GGUFWriter(projector, "clip")
    writer.add_type("mmproj")
    _sight(writer)
    _hearing(writer)
    finish(writer)
    return model, projector


def _decoder(path: Path) -> None:
    """The text model; its tokenizer is named as by Ollama's converter."""
    width = _OF.width
    writer = model_writer(path, "gemma4", "x", byte_vocabulary(_OF.vocab), None, 1024)
    writer.add_token_merges(["w 0"])
    add_decoder(writer, _OF)
    writer.add_sliding_window(64)
    writer.add_sliding_window_pattern([True, False])
    for key in ("attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count_swa"):
        writer.add_uint32(f"gemma4.{key}", _OF.head)
    writer.add_uint32("gemma4.embedding_length_per_layer_input", 0)
    weights = Weights(writer, 0, F32)
    weights.matrix("token_embd", _OF.vocab, width)
    weights.norm("output_norm", width)
    weights.norm("rope_freqs", _OF.head // 2)
    for block in weights.blocks(_OF):
        for norm in ("attn_q_norm", "attn_k_norm"):
            weights.norm(f"{block}.{norm}", _OF.head)
        for norm in ("post_attention_norm", "post_ffw_norm"):
            weights.norm(f"{block}.{norm}", width)
        weights.norm(f"{block}.layer_output_scale", 1, scale=0.5)
    finish(writer)


def _sight(writer: GGUFWriter) -> None:
    writer.add_clip_has_vision_encoder(True)
    writer.add_string("clip.vision.projector_type", "gemma4v")
    writer.add_vision_image_size(224)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_embedding_length(_INNER)
    writer.add_vision_feed_forward_length(_FFN)
    writer.add_vision_projection_dim(_OF.width)
    writer.add_vision_block_count(_BLOCKS)
    writer.add_vision_head_count(_HEADS)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([0.0] * 3)
    writer.add_vision_image_std([1.0] * 3)
    writer.add_vision_projector_scale_factor(2)
    random = np.random.default_rng(1)
    kernel = random.standard_normal((_INNER, 3, _PATCH, _PATCH)) / (_PATCH * 3**0.5)
    places = random.standard_normal((2, _PLACES, _INNER))
    for name, values in (("patch_embd", kernel), ("position_embd", places)):
        writer.add_tensor(f"v.{name}.weight", values.astype(np.float16).astype(np.float32))
    weights = Weights(writer, 1, F32)
    for block in (f"v.blk.{number}" for number in range(_BLOCKS)):
        for norm in ("ln1", "ln2", "attn_post_norm", "ffn_post_norm"):
            weights.norm(f"{block}.{norm}", _INNER)
        for norm in ("attn_q_norm", "attn_k_norm"):
            weights.norm(f"{block}.{norm}", _INNER // _HEADS)
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            weights.matrix(f"{block}.{part}", _INNER, _INNER)
        weights.matrix(f"{block}.ffn_gate", _FFN, _INNER)
        weights.matrix(f"{block}.ffn_up", _FFN, _INNER)
        weights.matrix(f"{block}.ffn_down", _INNER, _FFN)
        for part in _CLAMPED:
            _clamp(writer, f"{block}.{part}")
    weights.vector("v.std_bias", _INNER)
    weights.vector("v.std_scale", _INNER)
    weights.matrix("mm.input_projection", _OF.width, _INNER)
    _clamp(writer, "mm.input_projection")


def _clamp(writer: GGUFWriter, linear: str) -> None:
    """Bounds that matter, a little different for each layer."""
    for bound, value in _BOUNDS.items():
        writer.add_tensor(f"{linear}.{bound}", np.full(1, value + len(linear) / 100, np.float32))


def _hearing(writer: GGUFWriter) -> None:
    writer.add_bool("clip.has_audio_encoder", True)
    writer.add_string("clip.audio.projector_type", "gemma4a")
    writer.add_uint32("clip.audio.num_mel_bins", _BINS)
    writer.add_uint32("clip.audio.embedding_length", _INNER)
    writer.add_uint32("clip.audio.feed_forward_length", _FFN)
    writer.add_uint32("clip.audio.projection_dim", _OF.width)
    writer.add_uint32("clip.audio.block_count", 1)
    writer.add_uint32("clip.audio.attention.head_count", _HEADS)
    writer.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-6)
    weights = Weights(writer, 2, F32)
    random = np.random.default_rng(2)
    for number, channels in ((0, 1), (1, _CHANNELS)):
        kernel = random.standard_normal((_CHANNELS, channels, 3, 3), np.float32) / 3
        writer.add_tensor(f"a.conv1d.{number}.weight", kernel)
        weights.norm(f"a.conv1d.{number}.norm", _CHANNELS)
    weights.matrix("a.input_projection", _INNER, _CHANNELS * _BINS // 4)
    # Different sizes of norms: one in another's place would change the answer.
    norms = ("ffn_norm", "attn_pre_norm", "attn_post_norm", "conv_norm", "norm_conv", "ffn_norm_1", "ln2")
    for number, norm in enumerate((*norms, "ffn_post_norm", "ffn_post_norm_1")):
        weights.norm(f"a.blk.0.{norm}", _INNER, scale=0.5 + number / 4)
    for part in ("attn_q", "attn_k", "attn_v", "attn_out", "attn_k_rel", "conv_pw2"):
        weights.matrix(f"a.blk.0.{part}", _INNER, _INNER)
    weights.norm("a.blk.0.per_dim_scale", _INNER // _HEADS)
    weights.matrix("a.blk.0.conv_pw1", 2 * _INNER, _INNER)
    weights.kernel("a.blk.0.conv_dw", _INNER, 5)
    for ending in ("", "_1"):
        weights.matrix(f"a.blk.0.ffn_up{ending}", _FFN, _INNER)
        weights.matrix(f"a.blk.0.ffn_down{ending}", _INNER, _FFN)
    _clamp(writer, "a.blk.0.attn_q")
    weights.biased_matrix("a.pre_encode.out", _HEARD, _INNER)
    weights.matrix("mm.a.input_projection", _OF.width, _HEARD)


_SOUND = {
    "a.pre_encode.out.": "mm.a.fc.",
    "a.input_projection.": "a.pre_encode.out.",
    ".ln2.": ".layer_pre_norm.",
    ".attn_pre_norm.": ".ln1.",
    ".attn_post_norm.": ".ln2.",
    ".attn_k_rel.": ".linear_pos.",
}


def inside(model: Path, projector: Path, target: Path, *, packed: bool = False) -> Path:
    """Both in one file. `packed`: the bounds of the encoder of pictures are in one tensor."""
    linear = [f"v.blk.{block}.{part}" for block in range(_BLOCKS) for part in _CLAMPED]
    bounds = [f"{part}.{bound}" for part in (*linear, "mm.input_projection") for bound in _BOUNDS]

    def named(name: str) -> str:
        if name.startswith("a."):
            for part, other in _SOUND.items():
                name = name.replace(part, other)
        return name

    def pack(tensors: Stored) -> Stored:
        values = np.concatenate([tensors.pop(name)[0] for name in bounds])
        return tensors | {"v.clamp_data": (values, F32)}

    more: dict[str, object] = {"tokenizer.ggml.model": "llama"}
    kept = ("block_count", "embedding_length", "feed_forward_length", "patch_size")
    kept += ("attention.head_count", "attention.layer_norm_epsilon", "projector.scale_factor")
    for field in GGUFReader(projector).fields.values():
        if field.name.removeprefix("clip.vision.").removeprefix("clip.audio.") in kept:
            more[field.name.replace("clip.", "gemma4.")] = field.contents()
    return rewritten(
        [model, projector],
        target,
        "gemma4",
        tensor=named,
        without=("tokenizer.ggml.model",),
        more=more,
        repacked=pack if packed else None,
    )
