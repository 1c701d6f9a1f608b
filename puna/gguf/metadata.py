"""What a GGUF file says of itself (ggml/docs/gguf.md)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec

from puna.gguf.types import FILE_TYPES, TENSOR_TYPES

_PLAIN_TYPES = {kind.name for kind in TENSOR_TYPES.values() if kind.block == 1}


class Skipped(msgspec.Struct, frozen=True):
    """Stands for a long array or text that was not read; `len()` is its length."""

    length: int

    def __len__(self) -> int:
        return self.length


class TensorInfo(msgspec.Struct, frozen=True):
    """One tensor. `shape` in the file's order, `offset` from the start of the tensor data, `size` in bytes.

    A type this table does not know (newer than ggml was then) is named "type N" and has size 0.
    """

    name: str
    shape: tuple[int, ...]
    type_name: str
    offset: int
    size: int


class Entry(NamedTuple):
    """Where in the file a metadata value lies: from its type to the next entry."""

    start: int
    end: int


class Metadata(msgspec.Struct, frozen=True):
    """What a GGUF file says of itself. Long values are `Skipped` unless it was read with `verbose`."""

    values: dict[str, Any]
    tensors: list[TensorInfo]
    parameter_count: int
    entries: dict[str, Entry] = {}
    data_start: int = 0
    """Where in the file the tensor data begin, in bytes."""

    @property
    def alignment(self) -> int:
        """Bytes; every tensor's data begin at a multiple of it."""
        return self.values.get("general.alignment", 32)

    @property
    def architecture(self) -> str:
        name = self.values.get("general.architecture")
        return name if isinstance(name, str) and name else "unknown"

    @property
    def chat_template(self) -> str:
        """The Jinja template of a conversation; "" for none."""
        template = self.values.get("tokenizer.chat_template")
        return template if isinstance(template, str) else ""

    @property
    def quantization(self) -> str:
        """Ollama's quantization level, such as "Q4_K_M"; "unknown" when the file does not say."""
        kind = self.values.get("general.file_type")
        return FILE_TYPES.get(kind, "unknown") if isinstance(kind, int) else "unknown"

    @property
    def precision(self) -> str:
        """What most weights are, "F32", "F16" or "BF16", whatever the file says; "" if any is quantized."""
        if any(tensor.type_name not in _PLAIN_TYPES for tensor in self.tensors):
            return ""
        sizes = dict.fromkeys(("F32", "F16", "BF16"), 0)
        for tensor in self.tensors:
            if tensor.type_name in sizes:
                sizes[tensor.type_name] += math.prod(tensor.shape)
        return max(sizes, key=lambda name: sizes[name])

    @property
    def projector_inside(self) -> bool:
        """It holds a language model and, as Ollama's own converter writes it, the projector beside that."""
        names = [tensor.name for tensor in self.tensors]
        return "token_embd.weight" in names and any(name.startswith(("v.", "mm.")) for name in names)

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def arch(self, key: str, default: Any = None) -> Any:
        """The value of `<architecture>.<key>`: `arch("context_length")` is "llama.context_length"."""
        return self.values.get(f"{self.architecture}.{key}", default)
