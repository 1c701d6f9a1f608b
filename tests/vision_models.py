"""Small models that see: a random decoder and a random projector, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from puna.library.convert import convert, convert_projector
from tests.library.convert.checkpoints import BASE, decoder, write_checkpoint
from tests.library.convert.test_families import CASES, nothing
from tests.library.convert.test_projectors import QWEN, gemma3_folder, qwen
from tests.library.convert.tokenizers_made import byte_level
from tests.model_parts import F32, Weights, finish
from tests.models import shape_model
from tests.mtp_models import random_mtp_model

WIDTH = 64
SIDE, PATCH = 28, 7
ROWS = (SIDE // PATCH) ** 2
"""Embeddings of one picture, or of one of its tiles."""

_INNER, _FFN, _HEADS, _LAYERS = 32, 48, 2, 2


def vision_model(folder: Path, *, tiles: bool = False, seed: int = 0) -> tuple[Path, Path]:
    """Write a random `llama` model and a LLaVA projector for it; the paths of both.

    With `tiles` a picture is seen as a whole and in up to four tiles, each a part of its own.
    """
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    shape_model(model, width=WIDTH, seed=seed)
    llava_projector(projector, tiles=tiles, seed=seed + 1)
    return model, projector


def llava_projector(path: Path, *, width: int = WIDTH, tiles: bool = False, seed: int = 1) -> None:
    """Write a CLIP encoder with two linear layers behind it, as LLaVA has it (llama.cpp tools/mtmd)."""
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_projector_type("mlp")
    add_sight(writer, width=width, tiles=tiles, seed=seed)
    finish(writer)


def add_sight(writer: GGUFWriter, *, width: int, tiles: bool = False, seed: int = 1) -> None:
    """Add that encoder to a projector's file."""
    writer.add_clip_has_vision_encoder(True)
    writer.add_bool("clip.use_gelu", True)
    writer.add_vision_image_size(SIDE)
    writer.add_vision_patch_size(PATCH)
    writer.add_vision_embedding_length(_INNER)
    writer.add_vision_feed_forward_length(_FFN)
    writer.add_vision_projection_dim(width)
    writer.add_vision_block_count(_LAYERS)
    writer.add_vision_head_count(_HEADS)
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    if tiles:
        sizes = [SIDE, 2 * SIDE, 2 * SIDE, SIDE, 2 * SIDE, 2 * SIDE]
        writer.add_array("clip.vision.image_grid_pinpoints", sizes)
    weights = Weights(writer, seed, F32)
    random = np.random.default_rng(seed)
    kernel = random.standard_normal((_INNER, 3, PATCH, PATCH), np.float32) / (PATCH * 3**0.5)
    writer.add_tensor("v.patch_embd.weight", kernel.astype(np.float32))
    weights.vector("v.class_embd", _INNER)
    weights.matrix("v.position_embd", ROWS + 1, _INNER)
    weights.biased_norm("v.pre_ln", _INNER)
    for block in (f"v.blk.{number}" for number in range(_LAYERS)):
        weights.encoder_block(block, _INNER, _FFN)
    weights.biased_matrix("mm.0", width, _INNER)
    weights.biased_matrix("mm.2", width, width)


def gemma3_model(folder: Path) -> tuple[Path, Path]:
    """A random Gemma 3 and its projector: the rows of a picture see one another, and attention slides."""
    gemma3_folder(folder)
    return _converted(folder)


def qwen3vl_model(folder: Path) -> tuple[Path, Path]:
    """A random Qwen 3 VL and its projector: pictures of any size, placed in two dimensions."""
    case = CASES["qwen3vl"]
    # With two layers, the deep rows of a picture would reach the last one, where libllama has dropped them.
    text = {**BASE, "model_type": case.kind, **case.config, "rms_norm_eps": 1e-6, "num_hidden_layers": 4}
    text["max_position_embeddings"] = 8192  # of which a picture takes an eighth
    weights = decoder(text, head_norms=True, prefix="model.language_model.") | qwen().weights
    config = {"architectures": [case.architecture], "text_config": text, "vision_config": QWEN}
    write_checkpoint(folder, config, weights, "F16")
    byte_level(folder)
    return _converted(folder)


def qwen35_model(folder: Path) -> tuple[Path, Path]:
    """A random Qwen 3.5 and its projector, which is Qwen 3 VL's without deep rows."""
    weights = {name: values for name, values in qwen().weights.items() if "deepstack" not in name}
    config = {
        "architectures": [CASES["qwen3vl"].architecture],
        "text_config": BASE,
        "vision_config": {**QWEN, "deepstack_visual_indexes": []},
    }
    write_checkpoint(folder, config, weights, "F16")
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    random_mtp_model(model, family="qwen35", width=BASE["hidden_size"])
    assert convert_projector(folder, projector, nothing)
    return model, projector


def _converted(folder: Path) -> tuple[Path, Path]:
    model, projector = folder / "model.gguf", folder / "projector.gguf"
    convert(folder, model, nothing)
    assert convert_projector(folder, projector, nothing)
    return model, projector
