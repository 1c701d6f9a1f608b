"""Qwen 2, 2.5 and 3, dense or with experts, and the language model of Qwen 3 VL."""

from __future__ import annotations

from collections.abc import Iterator

from gguf import MODEL_ARCH

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.families.decoder import experts, hyperparameters, rope, weights
from puna.library.convert.plan import Names, Plan, layer_count
from puna.library.convert.pooling import pooling
from puna.library.convert.tensors import Tensor, slice_rows, transpose


def plan_qwen2(checkpoint: Checkpoint) -> Plan:
    """Qwen 2 and 2.5, dense."""
    return _plan(checkpoint, MODEL_ARCH.QWEN2)


def plan_qwen3(checkpoint: Checkpoint) -> Plan:
    """Qwen 3, dense."""
    return _plan(checkpoint, MODEL_ARCH.QWEN3)


def plan_qwen2moe(checkpoint: Checkpoint) -> Plan:
    """With a shared expert. Raises BadRequest if routing is normalised, which libllama does not do."""
    plan = _plan(checkpoint, MODEL_ARCH.QWEN2MOE)
    _check_routing(checkpoint, normalised=False)
    plan.values["expert_feed_forward_length"] = checkpoint.config.integer("moe_intermediate_size")
    plan.values["expert_shared_feed_forward_length"] = checkpoint.config.integer(
        "shared_expert_intermediate_size"
    )
    return plan


def plan_qwen3moe(checkpoint: Checkpoint) -> Plan:
    """Raises BadRequest if routing is not normalised, which libllama always does."""
    plan = _plan(checkpoint, MODEL_ARCH.QWEN3MOE)
    _check_routing(checkpoint, normalised=True)
    plan.values["expert_feed_forward_length"] = checkpoint.config.integer("moe_intermediate_size")
    return plan


def plan_qwen3vl(checkpoint: Checkpoint) -> Plan:
    """The dense language model of a Qwen 3 VL; `vision.plan_qwen3vl` has the rest."""
    return _with_vision(_plan(checkpoint, MODEL_ARCH.QWEN3VL), checkpoint)


def plan_qwen3vlmoe(checkpoint: Checkpoint) -> Plan:
    """The language model of a Qwen 3 VL with experts; `vision.plan_qwen3vl` has the rest."""
    plan = _with_vision(_plan(checkpoint, MODEL_ARCH.QWEN3VLMOE), checkpoint)
    plan.values["expert_feed_forward_length"] = checkpoint.config.integer("moe_intermediate_size")
    return plan


def _plan(checkpoint: Checkpoint, arch: MODEL_ARCH) -> Plan:
    config = checkpoint.config
    names = Names(arch, layer_count(config))
    tensors = dict(weights(checkpoint))
    if config.get("num_experts") is not None:
        separate = dict(_split_experts(tensors, config.integer("hidden_size")))
        tensors = dict(experts(separate, config.integer("num_experts")))
    return Plan(
        names.architecture, hyperparameters(config) | pooling(checkpoint), names.apply(tensors.items())
    )


def _split_experts(tensors: dict[str, Tensor], width: int) -> Iterator[tuple[str, Tensor]]:
    """Splits experts that are one tensor with gate and up fused; Qwen 3 VL's have inputs before outputs."""
    for name, tensor in tensors.items():
        plain = name.removesuffix(".weight")
        base, _, part = plain.rpartition(".")
        if not base.endswith(".experts") or len(tensor.shape) != 3:
            yield name, tensor
            continue
        down = tensors.get(f"{base}.down_proj", tensors.get(f"{base}.down_proj.weight", tensor))
        whole = transpose(tensor) if down.shape[2] == width else tensor
        if part == "gate_up_proj":
            half = whole.shape[1] // 2
            yield f"{base}.gate_proj.weight", slice_rows(whole, slice(0, half))
            yield f"{base}.up_proj.weight", slice_rows(whole, slice(half, 2 * half))
        else:
            yield f"{plain}.weight", whole


def _with_vision(plan: Plan, checkpoint: Checkpoint) -> Plan:
    """Three kinds of positions, and how many layers add the vision part's intermediate features."""
    sections = [int(part) for part in rope(checkpoint.config).numbers("mrope_section")][:4]
    plan.values["rope.dimension_sections"] = sections + [0] * (4 - len(sections))
    deep = checkpoint.config.section("vision_config").numbers("deepstack_visual_indexes")
    plan.values["n_deepstack_layers"] = len(deep)
    return plan


def _check_routing(checkpoint: Checkpoint, *, normalised: bool) -> None:
    """libllama normalises the selected experts' weights for one architecture and never for the other."""
    value = checkpoint.config.get("norm_topk_prob")
    if isinstance(value, bool) and value != normalised:
        raise checkpoint.config.error("norm_topk_prob", f"is {str(value).lower()}, which cannot be converted")
