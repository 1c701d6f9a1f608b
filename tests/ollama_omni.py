"""A small random Nemotron 3 Omni, as libllama reads it and as Ollama's own converter writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter

from tests.hybrid_models import mamba2_model
from tests.model_parts import F32, Weights, finish
from tests.ollama_models import Stored, rewritten

_WIDTH = 64  # of that model
_SIDE, _PATCH, _INNER, _FFN, _HEADS, _MERGED, _REGISTERS = 24, 4, 32, 48, 2, 2, 3
_ROWS = _SIDE // _PATCH
_BINS, _CHANNELS, _KERNEL, _FREQUENCIES, _WINDOW = 128, 8, 9, 257, 400


def omni(folder: Path) -> tuple[Path, Path]:
    """Write the model and its projector as libllama and libmtmd want them."""
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    mamba2_model(model, experts=2)
    writer = GGUFWriter(projector, "clip")
    writer.add_type("mmproj")
    _sight(writer)
    _hearing(writer)
    finish(writer)
    return model, projector


def _sight(writer: GGUFWriter) -> None:
    writer.add_clip_has_vision_encoder(True)
    writer.add_string("clip.vision.projector_type", "nemotron_v2_vl")
    writer.add_bool("clip.use_gelu", True)
    writer.add_vision_image_size(_SIDE)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_embedding_length(_INNER)
    writer.add_vision_feed_forward_length(_FFN)
    writer.add_vision_projection_dim(_WIDTH)
    writer.add_vision_block_count(2)
    writer.add_vision_head_count(_HEADS)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_projector_scale_factor(_MERGED)
    writer.add_vision_image_mean([0.48, 0.46, 0.41])
    writer.add_vision_image_std([0.27, 0.26, 0.28])
    random = np.random.default_rng(1)
    kernel = random.standard_normal((_INNER, 3, _PATCH, _PATCH)) / (_PATCH * 3**0.5)
    places = random.standard_normal((_ROWS**2, _INNER))
    for name, values in (("patch_embd", kernel), ("position_embd", places)):
        writer.add_tensor(f"v.{name}.weight", values.astype(np.float16).astype(np.float32))
    writer.add_tensor("v.class_embd", random.standard_normal((_REGISTERS, _INNER), np.float32))
    weights = Weights(writer, 1, F32)
    for block in ("v.blk.0", "v.blk.1"):
        weights.encoder_block(block, _INNER, _FFN)
    weights.norm("mm.model.mlp.0", _MERGED**2 * _INNER)
    weights.matrix("mm.model.mlp.1", _FFN, _MERGED**2 * _INNER)
    weights.matrix("mm.model.mlp.3", _WIDTH, _FFN)


def _hearing(writer: GGUFWriter) -> None:
    writer.add_bool("clip.has_audio_encoder", True)
    writer.add_string("clip.audio.projector_type", "parakeet")
    sizes = {
        "num_mel_bins": _BINS,
        "conv_kernel_size": _KERNEL,
        "subsampling_factor": 8,
        "embedding_length": _INNER,
        "feed_forward_length": _FFN,
        "projection_dim": _WIDTH,
        "block_count": 1,
        "attention.head_count": _HEADS,
    }
    for key, value in sizes.items():
        writer.add_uint32(f"clip.audio.{key}", value)
    writer.add_float32("clip.audio.attention.layer_norm_epsilon", 1e-5)
    random = np.random.default_rng(2)
    writer.add_tensor("a.mel_filters", random.random((_BINS, _FREQUENCIES), np.float32))
    writer.add_tensor("a.window", np.hanning(_WINDOW).astype(np.float32))
    inputs = {0: 1, 2: 1, 3: _CHANNELS, 5: 1, 6: _CHANNELS}
    for number, channels in inputs.items():
        size = 1 if channels == _CHANNELS else 3
        kernel = random.standard_normal((_CHANNELS, channels, size, size), np.float32) / (
            size * channels**0.5
        )
        writer.add_tensor(f"a.conv1d.{number}.weight", kernel.astype(np.float32))
        bias = random.standard_normal((1, _CHANNELS, 1, 1), np.float32)
        writer.add_tensor(f"a.conv1d.{number}.bias", bias)
    weights = Weights(writer, 2, F32)
    weights.biased_matrix("a.pre_encode.out", _INNER, _CHANNELS * _BINS // 8)
    for number, norm in enumerate(("ffn_norm", "ffn_norm_1", "ln1", "ln2", "norm_conv", "conv_norm")):
        weights.norm(f"a.blk.0.{norm}", _INNER, scale=0.5 + number / 4)
        weights.vector(f"a.blk.0.{norm}.bias", _INNER)
    for part in ("attn_q", "attn_k", "attn_v", "attn_out", "linear_pos", "conv_pw2"):
        weights.matrix(f"a.blk.0.{part}", _INNER, _INNER)
    for part in ("pos_bias_u", "pos_bias_v"):
        bias = random.standard_normal((_HEADS, _INNER // _HEADS)).astype(np.float16)
        writer.add_tensor(f"a.blk.0.{part}", bias.astype(np.float32))
    weights.matrix("a.blk.0.conv_pw1", 2 * _INNER, _INNER)
    weights.kernel("a.blk.0.conv_dw", _INNER, _KERNEL)
    weights.vector("a.blk.0.conv_norm_mean", _INNER)
    writer.add_tensor("a.blk.0.conv_norm_var", 0.5 + random.random(_INNER, np.float32))
    for ending in ("", "_1"):
        weights.matrix(f"a.blk.0.ffn_up{ending}", _FFN, _INNER)
        weights.matrix(f"a.blk.0.ffn_down{ending}", _INNER, _FFN)
    weights.norm("mm.a.norm_pre", _INNER)
    weights.matrix("mm.a.mlp.1", _FFN, _INNER)
    weights.matrix("mm.a.mlp.2", _WIDTH, _FFN)


_NAMES = {
    "v.class_embd": "v.cls_embd",
    "v.position_embd.weight": "v.position_embd",
    "mm.model.mlp.0.": "mm.norm.",
    "mm.model.mlp.1.": "mm.1.",
    "mm.model.mlp.3.": "mm.2.",
    "a.mel_filters": "a.feature_extractor.fb",
    "a.window": "a.feature_extractor.window",
    "a.conv1d.0.": "a.subsampling.conv0.",
    "a.conv1d.2.": "a.subsampling.dw1.",
    "a.conv1d.3.": "a.subsampling.pw1.",
    "a.conv1d.5.": "a.subsampling.dw2.",
    "a.conv1d.6.": "a.subsampling.pw2.",
    "a.pre_encode.out.": "a.subsampling.linear.",
    "mm.a.norm_pre.": "mm.a.norm.",
    "mm.a.mlp.": "mm.a.",
}
_IN_SOUND = {
    ".ffn_norm.": ".ffn1_norm.",
    ".ffn_up.": ".ffn1_up.",
    ".ffn_down.": ".ffn1_down.",
    ".ffn_norm_1.": ".ffn2_norm.",
    ".ffn_up_1.": ".ffn2_up.",
    ".ffn_down_1.": ".ffn2_down.",
    ".ln1.": ".attn_norm.",
    ".ln2.": ".out_norm.",
    ".linear_pos.": ".attn_rel_k.",
    ".pos_bias_": ".attn_bias_",
    ".conv_norm.": ".conv_bn.",
    ".conv_norm_": ".conv_bn.running_",
    ".norm_conv.": ".conv_norm.",
}


def inside(model: Path, projector: Path, target: Path, *, larger: int = 1) -> Path:
    """Both in one file. `larger`: its square of places has so many times as many steps on a side."""

    def named(name: str) -> str:
        parts = _NAMES | _IN_SOUND if name.startswith("a.") else _NAMES
        if name.startswith(("v.", "a.", "mm.")):
            for part, other in parts.items():
                name = name.replace(part, other)
        return name

    def repacked(tensors: Stored) -> Stored:
        for name, (values, kind) in tensors.items():
            if name == "v.patch_embd.weight":
                tensors[name] = values.reshape(_INNER, -1), kind
            elif name == "v.position_embd":
                tensors[name] = _spread(values, larger), kind
            elif name.startswith("a.subsampling.") and name.endswith(".bias"):
                tensors[name] = values.reshape(-1), kind
        return tensors

    more: dict[str, object] = {}
    for field in GGUFReader(projector).fields.values():
        key = field.name.removeprefix("clip.")
        if key.startswith(("vision.", "audio.")) and not key.endswith(("projector_type", "projection_dim")):
            more[f"nemotron_h_omni.{key}"] = field.contents()
    return rewritten(
        [model, projector],
        target,
        "nemotron_h_omni",
        key=lambda key: key.replace("nemotron_h_moe.", "nemotron_h_omni."),
        tensor=named,
        repacked=repacked,
        more=more,
    )


def _spread(places: np.ndarray, larger: int) -> np.ndarray:
    """More places around the same ones, which keep every `larger`th of the square."""
    side = (_ROWS - 1) * larger + 1
    square = np.full((side, side, _INNER), 7, places.dtype)
    square[::larger, ::larger] = places.reshape(_ROWS, _ROWS, _INNER)
    return square.reshape(side**2, _INNER)
