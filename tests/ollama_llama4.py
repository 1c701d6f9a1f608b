"""A small random projector of a Llama 4, as libmtmd reads it and as Ollama's own converter writes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tests.model_parts import F32, Weights, finish
from tests.ollama_models import projector_renamed, rewritten, vision_sizes
from tests.vision_models import WIDTH

_SIDE, _PATCH, _INNER, _FFN, _BLOCKS, _MERGED = 24, 4, 32, 48, 2, 2


def llama4_projector(path: Path) -> None:
    """Write it as libmtmd wants it."""
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("llama4")
    writer.add_bool("clip.use_gelu", True)
    writer.add_vision_image_size(_SIDE)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_embedding_length(_INNER)
    writer.add_vision_feed_forward_length(_FFN)
    writer.add_vision_projection_dim(WIDTH)
    writer.add_vision_block_count(_BLOCKS)
    writer.add_vision_head_count(2)
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_projector_scale_factor(_MERGED)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    random = np.random.default_rng(1)
    pixels, places = 3 * _PATCH**2, (_SIDE // _PATCH) ** 2 + 1
    for name, rows, columns in (("patch_embd", _INNER, pixels), ("position_embd", places, _INNER)):
        values = random.standard_normal((rows, columns)) / columns**0.5
        writer.add_tensor(f"v.{name}.weight", values.astype(np.float16).astype(np.float32))
    weights = Weights(writer, 1, F32)
    weights.vector("v.class_embd", _INNER)
    weights.biased_norm("v.pre_ln", _INNER)
    weights.biased_norm("v.post_ln", _INNER)
    for block in (f"v.blk.{number}" for number in range(_BLOCKS)):
        weights.encoder_block(block, _INNER, _FFN)
    weights.matrix("mm.model.mlp.1", _FFN, _MERGED**2 * _INNER)
    weights.matrix("mm.model.mlp.2", _FFN, _FFN)
    weights.matrix("mm.model.fc", WIDTH, _FFN)
    finish(writer)


_NAMES = {
    "v.position_embd.weight": "v.positional_embedding_vlm",
    "v.class_embd": "v.class_embedding",
    "v.patch_embd.": "v.patch_embedding.",
    "v.pre_ln.": "v.layernorm_pre.",
    "v.post_ln.": "v.layernorm_post.",
    ".attn_out.": ".attn_output.",
    ".ln1.": ".attn_norm.",
    ".ln2.": ".ffn_norm.",
    ".ffn_up.": ".mlp.fc1.",
    ".ffn_down.": ".mlp.fc2.",
    "mm.model.mlp.1.": "v.vision_adapter.mlp.fc1.",
    "mm.model.mlp.2.": "v.vision_adapter.mlp.fc2.",
    "mm.model.fc.": "mm.linear_1.",
}


def inside(model: Path, projector: Path, target: Path) -> Path:
    """A model and the projector in one file."""

    more = vision_sizes(projector, "llama4")
    more |= {"llama4.vision.layer_norm_epsilon": 1e-5, "llama4.vision.pixel_shuffle_ratio": 1 / _MERGED}
    return rewritten(
        [model, projector],
        target,
        "llama4",
        key=lambda key: key.replace("llama.", "llama4."),
        tensor=projector_renamed(_NAMES),
        more=more,
    )
