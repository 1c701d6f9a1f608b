"""Gemma 4 (file: Ollama llama/compat, handle_gemma4 and handle_gemma4_clip; convert/convert_gemma4.go)."""

from __future__ import annotations

from functools import partial

from puna.engine.ollama_gguf.edit import Derived, Edit, Floats, copy_keys, number, without
from puna.engine.ollama_gguf.projectors import CLIP, INSIDE, projector_tensors, sizes
from puna.gguf import GGUFFile, f32, flag, string, u32

_TOKENIZER = "tokenizer.ggml.model"
_SOUND = {
    "a.pre_encode.out.": "a.input_projection.",
    "mm.a.fc.": "a.pre_encode.out.",
    ".ln1.": ".attn_pre_norm.",
    ".ln2.": ".attn_post_norm.",
    ".layer_pre_norm.": ".ln2.",
    ".linear_pos.": ".attn_k_rel.",
}
_CLAMPS = "v.clamp_data"
_CLAMPED = ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down")
_BOUNDS = ("input_min", "input_max", "output_min", "output_max")


def text(file: GGUFFile) -> Edit | None:
    """Removes the projector; names the tokenizer and experts' scales as libllama does. None: no change."""
    tensors = without(file, *INSIDE, "a.", "model.vision_tower.")
    old, new = ".ffn_gate_inp.per_expert_scale", ".ffn_down_exps.scale"
    tensors = {name.replace(old, new): source for name, source in tensors.items()}
    pieces = file.metadata.get(_TOKENIZER) == "llama"
    if not pieces and tensors.keys() == file.tensors.keys():
        return None
    return Edit(tensors, {_TOKENIZER: string("gemma4")} if pieces else {})


def projector(file: GGUFFile) -> Edit:
    """The encoders of pictures and of sounds, with libmtmd's names."""
    values = CLIP | sizes(file, "gemma4")
    values |= copy_keys(file, {"clip.vision.projector.scale_factor": "gemma4.vision.projector.scale_factor"})
    values |= {
        "clip.vision.projector_type": string("gemma4v"),
        "clip.vision.image_size": u32(224),  # required, not used
        "clip.vision.image_mean": f32((0.0, 0.0, 0.0)),
        "clip.vision.image_std": f32((1.0, 1.0, 1.0)),
    }
    tensors = projector_tensors(file, {}, ("v.patch_embd.weight",), ("v.", "mm.input_projection."))
    tensors = {name: source for name, source in tensors.items() if name != _CLAMPS} | _clamps(file)
    if sound := projector_tensors(file, _SOUND, prefixes=("a.", "mm.a.")):
        tensors |= sound
        values |= sizes(file, "gemma4", "audio") | {
            "clip.has_audio_encoder": flag(True),
            "clip.audio.projector_type": string("gemma4a"),
            "clip.audio.num_mel_bins": u32(128),
        }
    return Edit(tensors, values, inherits=False)


def _clamps(file: GGUFFile) -> dict[str, Derived]:
    """The bounds of the linear layers' inputs and outputs, where one tensor has them all."""
    layers = number(file, "gemma4.vision.block_count")
    packed = file.tensors.get(_CLAMPS)
    if packed is None or packed.shape != ((layers * len(_CLAMPED) + 1) * len(_BOUNDS),):
        return {}
    linear = [f"v.blk.{layer}.{part}" for layer in range(layers) for part in _CLAMPED]
    names = [f"{part}.{bound}" for part in (*linear, "mm.input_projection") for bound in _BOUNDS]
    return {name: Derived((_CLAMPS,), (1,), partial(_value, at)) for at, name in enumerate(names)}


def _value(at: int, values: Floats) -> Floats:
    return values[at : at + 1]
