"""LoRA adapters in PEFT's files (adapter_config.json, adapter_model.safetensors) or MLX's.

llama.cpp adds alpha / rank · B·A to a weight W; for its files see convert_lora_to_gguf.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from gguf import MODEL_ARCH_NAMES

from puna.errors import BadRequest
from puna.gguf import Metadata
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.plan import Names
from puna.library.convert.safetensors import open_tensors
from puna.library.convert.tensors import Tensor, decode_bf16, permute
from puna.library.convert.writing import write

_PEFT = re.compile(r"(?P<module>.+)\.lora_(?:embedding_)?(?P<half>[AB])(?:\.default)?(?:\.weight)?")
_MLX = re.compile(r"(?P<module>.+)\.lora_(?P<half>[ab])")
_PLAIN = re.compile(r"[\w.]+")
_CONFIG = "adapter_config.json"


def convert_adapter(folder: Path, target: Path, base: Metadata, on_bytes: Callable[[int, int], None]) -> None:
    """Write the LoRA adapter in `folder` (PEFT's or MLX's files) for the model `base` to `target`, as F32.

    Raises BadRequest when the files are wrong or the adapter does not fit `base`.
    """
    checkpoint = Checkpoint(folder)
    if not checkpoint.has(_CONFIG):
        raise BadRequest(f"{_CONFIG} is missing, which says how the adapter is scaled")
    config = checkpoint.json(_CONFIG)
    if config.get("use_dora"):
        raise BadRequest(f"{_CONFIG}: an adapter with use_dora cannot be converted")
    halves = dict(_halves(folder))
    alpha = _alpha(config, _rank(halves[next(iter(halves))])) or 1.0  # llama.cpp takes 0 for "none"
    values = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": alpha}
    tensors = dict(_tensors(halves, base, config, alpha))
    write(target, base.architecture, values, tensors, on_bytes)


def _halves(folder: Path) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """For each module the tensors "A" (rank × inputs) and "B" (outputs × rank)."""
    names = ("adapter_model.safetensors", "adapters.safetensors")
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise BadRequest("no adapter_model.safetensors to convert")
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in open_tensors(path).items():
        match = _MLX.fullmatch(name) or _PEFT.fullmatch(name)
        if match is None or len(tensor.shape) != 2 or 0 in tensor.shape:
            raise BadRequest(f"{path.name}: tensor {name} is no part of a LoRA adapter")
        module = match["module"].removeprefix("base_model.model.").removeprefix("language_model.")
        module = module.replace("model.language_model.", "model.", 1)
        mine = _transpose(tensor) if match["half"].islower() else tensor  # MLX multiplies from the left
        modules.setdefault(module, {})[match["half"].upper()] = mine
    if not modules:
        raise BadRequest(f"{path.name} has no tensors")
    for module, halves in modules.items():
        if set(halves) != {"A", "B"} or halves["A"].shape[0] != halves["B"].shape[1]:
            raise BadRequest(f"{path.name}: the two tensors of {module} do not fit each other")
    yield from modules.items()


def _rank(pair: dict[str, Tensor]) -> int:
    return pair["A"].shape[0]


def _alpha(config: Config, rank: int, module: str = "") -> float:
    """The alpha of a module of this rank, which llama.cpp divides by the rank."""
    mlx = config.section("lora_parameters")
    if mlx.get("scale") is not None:
        return mlx.number("scale") * rank
    alpha = mlx.number("alpha", default=config.number("lora_alpha", default=float(rank)))
    alpha = _own_alpha(config, module, alpha)
    # "Rank-stabilised": divided by the root of the rank.
    return alpha * math.sqrt(rank) if config.get("use_rslora") else alpha


def _tensors(
    halves: dict[str, dict[str, Tensor]], base: Metadata, config: Config, alpha: float
) -> Iterator[tuple[str, Tensor]]:
    """The tensors for an adapter that has `alpha`. Those of a module with another are scaled."""
    names, shapes = _names(base), {tensor.name: tensor.shape for tensor in base.tensors}
    for module, pair in halves.items():
        name = names.of(f"{module}.weight")
        a, b = pair["A"], pair["B"]
        if shapes.get(name) != (a.shape[1], b.shape[0]):
            raise BadRequest(f"the adapter does not fit the model: tensors {a.name} and {b.name}")
        own = _alpha(config, _rank(pair), module)
        if own != alpha:
            b = _scale(b, own / alpha)
        if base.architecture == "llama" and name.endswith(("attn_q.weight", "attn_k.weight")):
            b = permute(b, _heads(base, name))
        # Rows of the embedding are looked up by token.
        yield f"{name}.lora_a", _transpose(a) if name == "token_embd.weight" else a
        yield f"{name}.lora_b", b


def _own_alpha(config: Config, module: str, alpha: float) -> float:
    """The alpha of a module that overrides `alpha`: keys are ends of module names.

    Raises BadRequest for PEFT's other regular expressions, because evaluating a stranger's may take for ever.
    """
    special = config.section("alpha_pattern")
    for key in special.values:
        if not _PLAIN.fullmatch(key):
            raise config.error("alpha_pattern", f"has the pattern {key!r}, which cannot be converted")
        if module == key or module.endswith(f".{key}"):
            return special.number(key)
    return alpha


def _names(base: Metadata) -> Names:
    arch = next((arch for arch, name in MODEL_ARCH_NAMES.items() if name == base.architecture), None)
    layers = base.arch("block_count")
    if arch is None or type(layers) is not int:
        raise BadRequest(f'an adapter for a model of architecture "{base.architecture}" cannot be converted')
    return Names(arch, layers)


def _heads(base: Metadata, name: str) -> int:
    heads = base.arch("attention.head_count")
    if "attn_k" in name:
        heads = base.arch("attention.head_count_kv", heads)
    if type(heads) is not int or heads < 1:
        raise BadRequest("the model's layers differ in their heads; an adapter for it cannot be converted")
    return heads


def _transpose(tensor: Tensor) -> Tensor:
    """The transposed tensor. Adapters are small, so each part reads all of it."""
    rows, columns = tensor.shape
    return replace(
        tensor,
        shape=(columns, rows),
        read=lambda first, last: tensor.read(0, rows).T[first:last],
        step=columns,
    )


def _scale(tensor: Tensor, factor: float) -> Tensor:
    return replace(
        tensor,
        dtype="F32",
        read=lambda first, last: decode_bf16(tensor.read(first, last), tensor.dtype) * factor,
    )
