"""The vision part of Gemma 3 and Qwen 3 VL in llama.cpp's "clip" format (tools/mtmd/clip-impl.h)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isqrt

from gguf import MODEL_ARCH

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.plan import Names, Plan
from puna.library.convert.tensors import Tensor, plus_one
from puna.library.convert.writing import Value

_MOST_LAYERS = 1000
_FRAMES = 2


def plan_gemma3(checkpoint: Checkpoint) -> Plan:
    """SigLIP and Gemma 3's projector, for a separate file. Raises BadRequest."""
    vision = checkpoint.config.section("vision_config")
    values = _values(checkpoint, vision, vision.integer("image_size")) | {
        "projector_type": "gemma3",
        "vision.attention.layer_norm_epsilon": vision.number("layer_norm_eps", default=1e-6),
    }
    side = isqrt(checkpoint.config.integer("mm_tokens_per_image", default=256))
    scale = vision.integer("image_size") // vision.integer("patch_size") // side
    if scale > 0:
        values["vision.projector.scale_factor"] = scale
    return _plan(vision, values, _gemma3(checkpoint))


def plan_qwen3vl(checkpoint: Checkpoint) -> Plan:
    """The encoder, and which layers give intermediate features to the model. Raises BadRequest."""
    vision = checkpoint.config.section("vision_config")
    side = isqrt(vision.integer("num_position_embeddings", default=2304))
    deep = [int(layer) for layer in vision.numbers("deepstack_visual_indexes")]
    values = _values(checkpoint, vision, side * vision.integer("patch_size")) | {
        "projector_type": "qwen3vl_merger",
        "vision.spatial_merge_size": vision.integer("spatial_merge_size", default=2),
        "vision.attention.layer_norm_epsilon": checkpoint.config.number("rms_norm_eps", default=1e-6),
        "vision.is_deepstack_layers": [layer in deep for layer in range(_layers(vision))],
    }
    return _plan(vision, values, _qwen3vl(checkpoint, deep))


def _layers(vision: Config) -> int:
    return vision.integer("depth", "num_hidden_layers", most=_MOST_LAYERS)


def _values(checkpoint: Checkpoint, vision: Config, image_size: int) -> dict[str, Value]:
    pictures = checkpoint.json("preprocessor_config.json").with_defaults(
        checkpoint.json("processor_config.json").section("image_processor")
    )
    return {
        "general.type": "mmproj",
        "has_vision_encoder": True,
        "use_gelu": True,
        "vision.image_size": image_size,
        "vision.patch_size": vision.integer("patch_size"),
        "vision.embedding_length": vision.integer("hidden_size"),
        "vision.feed_forward_length": vision.integer("intermediate_size"),
        "vision.projection_dim": checkpoint.config.integer("hidden_size"),
        "vision.block_count": _layers(vision),
        "vision.attention.head_count": vision.integer("num_heads", "num_attention_heads"),
        "vision.image_mean": pictures.numbers("image_mean") or [0.5] * 3,
        "vision.image_std": pictures.numbers("image_std") or [0.5] * 3,
    }


def _plan(vision: Config, values: dict[str, Value], tensors: Iterator[tuple[str, Tensor]]) -> Plan:
    names = Names(MODEL_ARCH.MMPROJ, _layers(vision), blocks="v.blk")
    plain: list[tuple[str, Tensor]] = []
    ready: dict[str, Tensor] = {}
    for name, tensor in tensors:
        if name.startswith(("v.", "mm.")):
            ready[name] = tensor
        else:
            plain.append((name, tensor))
    return Plan(names.architecture, values, names.apply(plain) | ready)


def _gemma3(checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in checkpoint.tensors.items():
        plain = name.removeprefix("model.").replace("_weight", ".weight")
        if not plain.startswith(("multi_modal_projector.", "vision_tower.")) or "vision_model.head." in plain:
            continue
        # Only the projector's norm is Gemma's (1 + weight); the others are SigLIP's.
        yield plain, plus_one(tensor) if plain.endswith("soft_emb_norm.weight") else tensor


def _qwen3vl(checkpoint: Checkpoint, deep: list[int]) -> Iterator[tuple[str, Tensor]]:
    """Tensors under gguf's names, or under llama.cpp's where gguf's table lacks them."""
    for name, tensor in checkpoint.tensors.items():
        plain = name.removeprefix("model.")
        if not plain.startswith("visual."):
            continue
        part, _, rest = plain.removeprefix("visual.").partition(".")
        if part == "merger":
            new = {"linear_fc1": "mm.0", "linear_fc2": "mm.2", "norm": "v.post_ln"}
            layer, _, suffix = rest.partition(".")
            yield f"{new.get(layer, 'visual.merger.' + layer)}.{suffix}", tensor
        elif part == "deepstack_merger_list":
            number, _, inner = rest.partition(".")
            if not number.isdecimal() or int(number) >= len(deep):
                raise BadRequest(f"tensor {name} belongs to no layer in deepstack_visual_indexes")
            yield f"v.deepstack.{deep[int(number)]}.{inner.replace('linear_', '')}", tensor
        elif plain == "visual.patch_embed.proj.weight":
            yield from _frames(tensor)
        elif plain == "visual.patch_embed.proj.bias":
            yield "v.patch_embd.bias", tensor
        else:
            yield plain, tensor


def _frames(tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The patch embedding of two video frames, split into one for each."""
    if len(tensor.shape) != 5 or tensor.shape[2] != _FRAMES:
        raise BadRequest(
            f"tensor {tensor.name} has the shape {list(tensor.shape)}, not that for {_FRAMES} frames"
        )
    for frame, name in enumerate(("v.patch_embd.weight", "v.patch_embd.weight.1")):
        yield (
            name,
            replace(
                tensor,
                shape=(*tensor.shape[:2], *tensor.shape[3:]),
                read=lambda first, last, frame=frame: tensor.read(first, last)[:, :, frame],
            ),
        )
