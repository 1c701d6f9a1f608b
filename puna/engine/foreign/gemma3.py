"""Gemma 3 (facts: Ollama llama/compat, handle_gemma3 and handle_gemma3_clip; convert/convert_gemma3.go)."""

from __future__ import annotations

from math import isqrt

import numpy as np

from puna.engine.foreign import embeddinggemma
from puna.engine.foreign.edit import Edit, Facts, Value, copied, number, own
from puna.engine.foreign.sight import CLIP, INSIDE, sizes

_ROPE = {
    "gemma3.rope.freq_base": "gemma3.rope.global.freq_base",
    "gemma3.rope.freq_base_swa": "gemma3.rope.local.freq_base",
}
_DEFAULTS: dict[str, Value] = {
    "gemma3.attention.layer_norm_rms_epsilon": np.float32(1e-6),
    "gemma3.rope.freq_base": np.float32(1_000_000.0),
    "gemma3.rope.freq_base_swa": np.float32(10_000.0),
}
_LONG = 131072
"""Context of those whose positions are scaled: all but the 1B."""

_HALF = np.full(3, 0.5, np.float32)
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


def text(facts: Facts) -> Edit | None:
    if embeddinggemma.is_one(facts):
        return embeddinggemma.text(facts)
    tensors = own(facts.tensors, *INSIDE)
    values = copied(facts, _ROPE)
    values |= {key: value for key, value in _DEFAULTS.items() if facts.get(key) is None and key not in values}
    if len(tensors) == len(facts.tensors) and not values:
        return None
    if number(facts, "gemma3.context_length") >= _LONG and facts.get("gemma3.rope.scaling.factor") is None:
        values |= {"gemma3.rope.scaling.type": "linear", "gemma3.rope.scaling.factor": np.float32(8.0)}
    rows = facts.tensors.get("token_embd.weight", (0, None))[1]
    return Edit(tensors, values, vocabulary=rows)


def sight(facts: Facts) -> Edit:
    values = CLIP | sizes(facts, "gemma3")
    values |= {
        "clip.projector_type": "gemma3",
        "clip.use_gelu": np.bool_(True),
        "clip.vision.image_mean": _HALF,
        "clip.vision.image_std": _HALF,
    }
    tokens = number(facts, "gemma3.mm.tokens_per_image", 256)
    patches = number(facts, "gemma3.vision.image_size") // max(number(facts, "gemma3.vision.patch_size"), 1)
    if patches >= isqrt(tokens) > 0:
        values["clip.vision.projector.scale_factor"] = np.uint32(patches // isqrt(tokens))
    tensors = {_name(old): old for old in facts.tensors if old.startswith(INSIDE)}
    return Edit(tensors, values, inherits=False, widened=frozenset(_WIDENED))


_WIDENED = ("v.patch_embd.weight", "v.position_embd.weight", "mm.input_projection.weight")


def _name(old: str) -> str:
    for part, other in _NAMES.items():
        old = old.replace(part, other)
    return old
