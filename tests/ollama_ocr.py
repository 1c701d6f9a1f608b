"""GLM-OCR and DeepSeek-OCR as one file, as Ollama's own converter writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader

from tests.ollama_models import Stored, rewritten

_GLM_NAMES = {
    "v.patch_embd.weight.1": "v.patch_embd_1.weight",
    "v.patch_embd.weight": "v.patch_embd_0.weight",
    ".attn_output.": ".attn_out.",
    ".post_attention_norm.": ".post_attn_norm.",
    ".post_ffw_norm.": ".post_ffn_norm.",
}
_GLM_SIZES = {
    "block_count": "block_count",
    "embedding_length": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "attention.head_count": "attention.head_count",
    "attention.layer_norm_rms_epsilon": "attention.layer_norm_epsilon",
    "image_size": "image_size",
    "patch_size": "patch_size",
    "spatial_merge_size": "spatial_merge_size",
    "out_hidden_size": "projection_dim",
    "image_mean": "image_mean",
    "image_std": "image_std",
}
_DEEPSEEK_NAMES = {
    "v.sam.": "s.",
    "s.pos_embd.weight": "s.position_embd",
    ".attn.out.": ".attn.proj.",
    ".attn.pos_h.weight": ".attn.rel_pos_h",
    ".attn.pos_w.weight": ".attn.rel_pos_w",
    "v.pre_ln.": "v.pre_layrnorm.",
    ".attn_out.": ".self_attn.out_proj.",
    ".attn_qkv.": ".self_attn.qkv_proj.",
    ".ln1.": ".layer_norm1.",
    ".ln2.": ".layer_norm2.",
    "mm.model.fc.": "mm.layers.",
    "v.image_newline": "mm.image_newline",
    "v.view_seperator": "mm.view_seperator",
}
_DEEPSEEK_SIZES = {
    "vision.block_count": "block_count",
    "vision.embedding_length": "embedding_length",
    "vision.head_count": "attention.head_count",
    "vision.image_size": "image_size",
    "vision.patch_size": "patch_size",
    "sam.block_count": "sam.block_count",
    "sam.embedding_length": "sam.embedding_length",
    "sam.head_count": "sam.head_count",
}


def glmocr(model: Path, projector: Path, target: Path) -> Path:
    """A GLM-OCR."""
    fields = GGUFReader(projector).fields
    vision = {f"vision.{new}": fields[f"clip.vision.{old}"].contents() for new, old in _GLM_SIZES.items()}

    def named(name: str) -> str:
        for part, other in _GLM_NAMES.items():
            name = name.replace(part, other)
        return name

    return rewritten(
        [model, projector],
        target,
        "glmocr",
        key=lambda name: name.replace("glm4.", "glmocr."),
        tensor=named,
        repacked=_apart,
        without=("glm4.rope.dimension_sections", "glm4.rope.dimension_count"),
        more={"glmocr.rope.mrope_section": [8, 4, 4]}
        | {f"glmocr.{key}": value for key, value in vision.items()},
    )


def _apart(tensors: Stored) -> Stored:
    """The model with the gate beside what it multiplies."""
    made: Stored = {}
    for name, (values, kind) in tensors.items():
        if name.startswith("blk.") and ".ffn_up." in name:
            gate, up = np.split(values, 2)
            made |= {name.replace(".ffn_up.", ".ffn_gate."): (gate, kind), name: (up, kind)}
        else:
            made[name] = values, kind
    return made


def deepseekocr(model: Path, projector: Path, target: Path) -> Path:
    """A DeepSeek-OCR."""
    fields = GGUFReader(projector).fields
    sizes = {
        f"deepseekocr.{new}": fields[f"clip.vision.{old}"].contents() for new, old in _DEEPSEEK_SIZES.items()
    }

    def named(name: str) -> str:
        if name.startswith(("v.", "mm.")):
            for part, other in _DEEPSEEK_NAMES.items():
                name = name.replace(part, other)
        if name.startswith("v.blk."):
            name = name.replace(".ffn_up.", ".mlp.fc1.").replace(".ffn_down.", ".mlp.fc2.")
        return (
            name
            if not name.startswith("s.")
            else name.replace(".pre_ln.", ".norm1.").replace(".post_ln.", ".norm2.")
        )

    lacking = ("attention.layer_norm_rms_epsilon", "expert_feed_forward_length", "expert_shared_count")
    return rewritten(
        [model, projector],
        target,
        "deepseekocr",
        key=lambda name: name.replace("deepseek2-ocr.", "deepseekocr."),
        tensor=named,
        repacked=_halves,
        without=tuple(f"deepseek2-ocr.{key}" for key in lacking),
        more=sizes,
    )


def _halves(tensors: Stored) -> Stored:
    """The convolutions in F16."""
    return {
        name: (values.astype(np.float16), GGMLQuantizationType.F16)
        if name.startswith(("s.neck.0", "s.neck.2", "s.net_", "s.patch_embd.weight"))
        else (values, kind)
        for name, (values, kind) in tensors.items()
    }
