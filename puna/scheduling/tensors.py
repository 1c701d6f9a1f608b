"""A model's tensors by layer, experts separately, for placement (names: llama.cpp, llama-arch.cpp)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from puna.scheduling.memory import SizeFacts, count, kv_shares
from puna.scheduling.placement import LayerSizes, Load

EXPERTS = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps"
"""In the names of routed experts' tensors; the same for Python's `re` and C++'s std::regex."""

_BLOCK = re.compile(r"blk\.(\d{1,6})\.")
_EXPERTS = re.compile(EXPERTS)
_INPUT = ("token_embd.", "per_layer_token_embd.", "token_types.", "position_embd.")
"""These always stay on the host, because rows are looked up there."""


class TensorFacts(Protocol):
    """A name and a size in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...


def load_of(
    tensors: Sequence[TensorFacts],
    metadata: SizeFacts,
    *,
    kv: int,
    work: int,
    host: int,
    beside: int = 0,
    pinned: Callable[[str], bool] = lambda name: False,
) -> Load:
    """The sizes to place of a model with these tensors.

    kv: bytes of the whole pool, which layers share as their KV heads are. work: compute buffers. host: bytes
    there beside the embeddings. beside: bytes that go where the output goes, a projector's and a
    draft model's. pinned: whether the tensor of that name is to be on the host in any case.
    """
    blocks = {tensor.name: int(match[1]) for tensor in tensors if (match := _BLOCK.match(tensor.name))}
    size = max(blocks.values(), default=-1) + 1
    weights, experts, pins = [0] * size, [0] * size, [0] * size
    output = embeddings = 0
    for tensor in tensors:
        block = blocks.get(tensor.name)
        if block is None:
            embeddings += tensor.size if tensor.name.startswith(_INPUT) else 0
            output += 0 if tensor.name.startswith(_INPUT) else tensor.size
        elif pinned(tensor.name):
            pins[block] += tensor.size
        elif _EXPERTS.search(tensor.name):
            experts[block] += tensor.size
        else:
            weights[block] += tensor.size
    if not any(tensor.name == "output.weight" for tensor in tensors):
        # The embeddings are the output, too, and the device with the output gets a copy of them.
        output += sum(tensor.size for tensor in tensors if tensor.name == "token_embd.weight")
    shares = kv_shares(metadata, size)
    layers = [LayerSizes(weights[i], experts[i], kv=int(kv * shares[i]), pinned=pins[i]) for i in range(size)]
    return Load(
        (*layers, LayerSizes(output + beside)), host=host + embeddings, work=work, used=_used_share(metadata)
    )


def override(layers: Iterable[int]) -> str:
    """The pattern for the names of these layers' routed experts."""
    return rf"blk\.({'|'.join(map(str, layers))}){EXPERTS}"


def _used_share(metadata: SizeFacts) -> float:
    """The part of its routed experts that evaluates a token."""
    experts = count(metadata.arch("expert_count"))
    return min(1.0, count(metadata.arch("expert_used_count")) / experts) if experts else 1.0
