"""The language model of a Qwen 3.5 and its MTP layer (file: Ollama llama/compat, apply_qwen35_text_fixes)."""

from __future__ import annotations

import re
from dataclasses import replace
from statistics import median

from puna.engine.ollama_gguf.edit import (
    Derived,
    Edit,
    Floats,
    collapsed,
    four_sections,
    joined,
    number,
    without,
)
from puna.engine.ollama_gguf.projectors import INSIDE
from puna.engine.ollama_gguf.qwen3next import step_named
from puna.gguf import GGUFFile, u32

_MTP, _LAYER = "mtp.", "mtp.layers.0."
_HEAD = {
    "mtp.fc.weight": "nextn.eh_proj.weight",
    "mtp.embed_tokens.weight": "nextn.embed_tokens.weight",
    "mtp.shared_head.head.weight": "nextn.shared_head_head.weight",
}
_HEAD_NORMS = {
    "mtp.pre_fc_norm_embedding.weight": "nextn.enorm.weight",
    "mtp.pre_fc_norm_hidden.weight": "nextn.hnorm.weight",
    "mtp.norm.weight": "nextn.shared_head_norm.weight",
    "mtp.shared_head.norm.weight": "nextn.shared_head_norm.weight",
}
_EXPERT = re.compile(r"mtp\.layers\.0\.mlp\.experts\.(\d+)\.(gate|up|down)_proj\.weight")


def text(file: GGUFFile) -> Edit | None:
    """Removes the projector and the MTP layer, and adapts values; None if nothing changes."""
    name = file.metadata.architecture
    tensors = without(file, *INSIDE, _MTP)
    renamed: dict[str, str | Derived] = {step_named(old): old for old in tensors}
    values = collapsed(file, f"{name}.attention.head_count_kv")  # 0 for recurrent layers
    sections = f"{name}.rope.dimension_sections"
    values |= four_sections(file, sections, sections)
    return Edit(renamed, values) if values or renamed.keys() != file.tensors.keys() else None


def drafting(file: GGUFFile) -> Edit | None:
    """As `text`, with the MTP layer as one more block, so that there is one more than the file says."""
    name, edit = file.metadata.architecture, text(file)
    layers = number(file, f"{name}.block_count")
    head = _mtp_layer(file, f"blk.{layers}.")
    if edit and head:
        more = {f"{name}.nextn_predict_layers": u32(1), f"{name}.block_count": u32(layers + 1)}
        edit = Edit({**edit.tensors, **head}, edit.values | more)
    return edit


def _mtp_layer(file: GGUFFile, block: str) -> dict[str, str | Derived]:
    """The MTP layer as `block`; empty if the file has none, or several."""
    names = [name for name in file.tensors if name.startswith(_MTP)]
    if "mtp.fc.weight" not in names or any(name.startswith("mtp.layers.1.") for name in names):
        return {}
    norms = [name for name in names if name.startswith(_LAYER) and name.endswith("_norm.weight")]
    made: dict[str, str | Derived] = {}
    experts: dict[str, dict[int, str]] = {}
    for name in names:
        if found := _EXPERT.fullmatch(name):
            experts.setdefault(found[2], {})[int(found[1])] = name
        elif name in _HEAD:
            made[block + _HEAD[name]] = name
        elif name in _HEAD_NORMS:
            made[block + _HEAD_NORMS[name]] = Derived(
                (name,), file.tensors[name].shape, lambda norm: norm + 1
            )
        elif name in norms:
            made[block + name.removeprefix(_LAYER)] = Derived(
                (name, *norms), file.tensors[name].shape, lambda norm, *norms: norm + _missing(norms)
            )
        elif name.startswith(_LAYER):
            made[block + name.removeprefix(_LAYER)] = name
    for part, by_number in experts.items():
        stack = joined(file, *(by_number[number] for number in sorted(by_number)))
        *inner, outer = stack.shape
        shape = (*inner, outer // len(by_number), len(by_number))
        made[f"{block}ffn_{part}_exps.weight"] = replace(stack, shape=shape)
    return made


def _missing(norms: tuple[Floats, ...]) -> int:
    """What the weights of a layer's norms lack: libllama's are around 1, but not every converter added it."""
    return int(median(float(norm.mean()) for norm in norms) < 0.5)
