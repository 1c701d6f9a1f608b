"""GPT-OSS: experts in MXFP4 as published, or in BF16; gate and up in alternating rows."""

from __future__ import annotations

from collections.abc import Iterator

from gguf import MODEL_ARCH

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.families.decoder import hyperparameters, weights
from puna.library.convert.mxfp4 import pack_mxfp4
from puna.library.convert.plan import Names, Plan, layer_count
from puna.library.convert.tensors import Tensor, slice_rows, transpose

_GATE_UP = ".experts.gate_up_proj"
_DOWN = ".experts.down_proj"


def plan(checkpoint: Checkpoint) -> Plan:
    """Experts stay in MXFP4 if they are published so. Raises BadRequest."""
    config = checkpoint.config
    names = Names(MODEL_ARCH.GPT_OSS, layer_count(config))
    values = hyperparameters(config) | {
        "attention.sliding_window": config.integer("sliding_window"),
        "expert_feed_forward_length": config.integer("intermediate_size"),
    }
    return Plan(names.architecture, values, names.apply(_tensors(dict(weights(checkpoint)))))


def _tensors(tensors: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if name.endswith(".sinks"):
            yield f"{name}.weight", tensor
        elif name.endswith(f"{_GATE_UP}_bias"):
            yield from _halves(name.removesuffix("gate_up_proj_bias"), "bias", tensor)
        elif name.endswith(f"{_DOWN}_bias"):
            yield name.removesuffix("_bias") + ".bias", tensor
        elif name.endswith(f"{_GATE_UP}_blocks"):
            yield from _halves(name.removesuffix("gate_up_proj_blocks"), "weight", *_parts(tensors, name))
        elif name.endswith(f"{_DOWN}_blocks"):
            yield name.removesuffix("_blocks") + ".weight", pack_mxfp4(*_parts(tensors, name))
        elif name.endswith(_GATE_UP):
            yield from _halves(name.removesuffix("gate_up_proj"), "weight", transpose(tensor))
        elif name.endswith(_DOWN):
            yield f"{name}.weight", transpose(tensor)
        elif not name.endswith("_scales"):
            yield name, tensor


def _halves(base: str, suffix: str, *parts: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The even rows are the gate's; blocks and scales are split alike."""
    for at, name in enumerate(("gate_proj", "up_proj")):
        cut = [slice_rows(part, slice(at, None, 2)) for part in parts]
        yield f"{base}{name}.{suffix}", cut[0] if len(cut) == 1 else pack_mxfp4(*cut)


def _parts(tensors: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    scales = name.removesuffix("_blocks") + "_scales"
    if scales not in tensors:
        raise BadRequest(f"the safetensors files have no tensor {scales}")
    return tensors[name], tensors[scales]
