"""The planned content of a GGUF file, and llama.cpp's tensor names (from gguf's table)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map

from puna.errors import BadRequest
from puna.library.convert.config import Config
from puna.library.convert.tensors import Tensor
from puna.library.convert.writing import Value

_MOST_LAYERS = 1000
_SUFFIXES = (".weight", ".bias")


@dataclass
class Plan:
    """The content of a file. Keys of `values` without a known prefix belong to the architecture."""

    architecture: str
    values: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def vocabulary_size(self) -> int:
        """Rows of the token embedding. Raises BadRequest when it is missing."""
        if "token_embd.weight" not in self.tensors:
            raise BadRequest("the safetensors files have no token embedding")
        return self.tensors["token_embd.weight"].rows


class Names:
    """llama.cpp's tensor names for models of one architecture."""

    def __init__(self, arch: MODEL_ARCH, layers: int, *, blocks: str = "blk") -> None:
        self.architecture = MODEL_ARCH_NAMES[arch]
        self._layers, self._blocks = layers, blocks
        self._table = get_tensor_name_map(arch, layers)

    def of(self, name: str) -> str:
        """The name for Hugging Face's `name`. Raises BadRequest when the architecture lacks it."""
        known = self._table.get_name(name, _SUFFIXES)
        if known is None:
            raise BadRequest(
                f'the safetensors files have a tensor {name} that "{self.architecture}" does not know'
            )
        return known

    def apply(self, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        """`tensors` by llama.cpp's names. Raises BadRequest if one is empty, unknown, double or missing."""
        named: dict[str, Tensor] = {}
        for name, tensor in tensors:
            if 0 in tensor.shape:
                raise BadRequest(f"tensor {tensor.name} is empty")
            if self.of(name) in named:
                raise BadRequest(f"tensor {tensor.name} is there twice")
            named[self.of(name)] = tensor
        self._check_whole(named)
        return named

    def _check_whole(self, tensors: dict[str, Tensor]) -> None:
        """Raises BadRequest unless all layers have the same tensors; a shard may be missing."""
        blocks: dict[str, set[str]] = {}
        for name in tensors:
            if name.startswith(f"{self._blocks}."):
                number, _, part = name.removeprefix(f"{self._blocks}.").partition(".")
                blocks.setdefault(number, set()).add(part)
        parts = set[str]().union(*blocks.values()) or {"weights"}
        for layer in range(self._layers):
            lacking = parts - blocks.get(str(layer), set())
            if lacking:
                raise BadRequest(f"the safetensors files have no {min(lacking)} for layer {layer}")


def layer_count(config: Config) -> int:
    """Layers, under any of the three names for them. Raises BadRequest when there are over 1000."""
    return config.integer("num_hidden_layers", "n_layer", "n_layers", most=_MOST_LAYERS)
