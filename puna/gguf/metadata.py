"""The header of a GGUF file (ggml/docs/gguf.md)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec

from puna.gguf.types import FILE_TYPES, TENSOR_TYPES

_PLAIN_TYPES = {kind.name for kind in TENSOR_TYPES.values() if kind.block == 1}
_UNREAD_AUDIO = "gemma3na"
"""The audio encoder that libmtmd passes over (llama.cpp tools/mtmd/clip.cpp, clip_init)."""


class Skipped(msgspec.Struct, frozen=True):
    """Stands for a long array or text that was not read; `len()` is its length."""

    length: int

    def __len__(self) -> int:
        return self.length


class TensorInfo(msgspec.Struct, frozen=True):
    """One tensor. `shape` in the file's order, `offset` from the start of the tensor data, `size` in bytes.

    An unknown (newer) type is named "type N" and has size 0.
    """

    name: str
    shape: tuple[int, ...]
    type_name: str
    offset: int
    size: int


class Entry(NamedTuple):
    """The position of a metadata value in the file: from its type to the next entry."""

    start: int
    end: int


class Metadata(msgspec.Struct, frozen=True):
    """The header of a GGUF file. Long values are `Skipped` unless it was read with `verbose`."""

    values: dict[str, Any]
    tensors: list[TensorInfo]
    parameter_count: int
    entries: dict[str, Entry] = {}
    data_start: int = 0
    """The offset of the tensor data in the file, in bytes."""

    @property
    def alignment(self) -> int:
        """Every tensor's data begins at a multiple of this many bytes."""
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
        """The type of most weights, by the tensors: "F32", "F16" or "BF16"; "" if any is quantized."""
        if any(tensor.type_name not in _PLAIN_TYPES for tensor in self.tensors):
            return ""
        sizes = dict.fromkeys(("F32", "F16", "BF16"), 0)
        for tensor in self.tensors:
            if tensor.type_name in sizes:
                sizes[tensor.type_name] += math.prod(tensor.shape)
        return max(sizes, key=lambda name: sizes[name])

    @property
    def projector_inside(self) -> bool:
        """Whether it holds a language model and its projector, as Ollama's converter writes them."""
        names = [tensor.name for tensor in self.tensors]
        return "token_embd.weight" in names and any(name.startswith(("v.", "mm.")) for name in names)

    @property
    def encoders(self) -> tuple[str, ...]:
        """What a projector reads, whether its file has a language model, too: "vision", "audio"."""
        if self.projector_inside:
            vision, audio = True, any(tensor.name.startswith("a.") for tensor in self.tensors)
        else:
            # A projector without audio keys is for images.
            audio = self.values.get("clip.has_audio_encoder")
            vision = self.values.get("clip.has_vision_encoder", not audio)
            audio = audio and self.values.get("clip.audio.projector_type") != _UNREAD_AUDIO
        return ("vision",) * bool(vision) + ("audio",) * bool(audio)

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def arch(self, key: str, default: Any = None) -> Any:
        """The value of `<architecture>.<key>`: `arch("context_length")` is "llama.context_length"."""
        return self.values.get(f"{self.architecture}.{key}", default)
