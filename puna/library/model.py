"""A model at rest: the blobs of its manifest, read on first use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from puna.errors import LoadFailed
from puna.gguf import Metadata, cached_metadata
from puna.human import human_number
from puna.library.blobs import Blobs
from puna.library.manifests import IMAGE, Layer
from puna.library.names import Name
from puna.library.purposes import embeds_unnormalized, needs_hidden_states, pooling_capability
from puna.types import MediaFile, Message

_T = TypeVar("_T")

# Keys of a vocabulary made for fill-in-the-middle: llama.cpp's present and older names.
_FILL_IN = ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id")


PROJECTOR_INSIDE = (
    "deepseekocr",
    "gemma3",
    "gemma4",
    "glmocr",
    "llama4",
    "mistral3",
    "nemotron_h_omni",
    "qwen25vl",
    "qwen35",
    "qwen35moe",
    "qwen3vl",
    "qwen3vlmoe",
)
"""Architectures whose projector the engine can read from the model's GGUF file."""

_LONGEST = 64 << 20
"""Maximum bytes of a text layer."""


class _StoredMessage(msgspec.Struct, kw_only=True):
    """A stored message, with images in base64."""

    role: str
    content: str = ""
    thinking: str = ""
    images: list[bytes] = []
    tool_calls: list[dict[str, Any]] = []
    tool_name: str = ""
    tool_call_id: str = ""

    def message(self) -> Message:
        values: dict[str, Any] = msgspec.structs.asdict(self)
        values["images"] = [MediaFile(data) for data in self.images]
        return Message(**values)


@dataclass(frozen=True)
class Model:
    """One model of the library. `digest` is the SHA-256 of its manifest, `size` the bytes of all its blobs.

    Every property that reads a blob raises LoadFailed when the blob is missing or damaged.
    """

    name: Name
    digest: str
    size: int
    modified_at: datetime
    config: dict[str, Any]
    """Ollama's ConfigV2 (types/model/config.go)."""
    layers: tuple[Layer, ...]
    blobs: Blobs
    go_first: bool | None = None
    """Prefer the Go template to the GGUF's Jinja template. None: unless Jinja's has more features."""

    @property
    def weights(self) -> Path:
        """The GGUF file."""
        paths = self._paths("model")
        if not paths:
            raise LoadFailed(f"model '{self.name.display()}' {self._state_without_weights()}")
        return paths[0]

    @property
    def projectors(self) -> tuple[Path, ...]:
        """The GGUF files that turn images into embeddings.

        Ollama's own converter may put the projector into the model's GGUF file. Then this is that file.
        """
        weights, files = self._paths("model"), self._paths("projector")
        if len(weights) == 1 and not files:
            with suppress(LoadFailed):  # Loading the projector reports the damage.
                return weights if _has_readable_projector(cached_metadata(weights[0])) else ()
        return (*weights[1:], *files)

    @property
    def adapters(self) -> tuple[Path, ...]:
        return self._paths("adapter")

    @property
    def drafts(self) -> tuple[Path, ...]:
        """The GGUF files of draft models; the last one is used."""
        return self._paths("draft")

    @property
    def draft(self) -> Path | None:
        """The draft model, unless it is of an unsupported kind."""
        last = next(reversed(self.drafts), None)
        # The engine reports the damage.
        with suppress(LoadFailed):
            return last if last and not needs_hidden_states(self.draft_metadata) else None
        return last

    @property
    def embeds_unnormalized(self) -> bool:
        """Whether Ollama's /api/embeddings returns its vectors as they are."""
        return embeds_unnormalized(self.metadata)

    @property
    def draft_metadata(self) -> Metadata:
        """The header of `drafts`' last file."""
        try:
            return cached_metadata(self.drafts[-1])
        except LoadFailed as error:
            raise LoadFailed(f"draft model {self.drafts[-1]}: {error}") from None

    @cached_property
    def template(self) -> str | None:
        """The Go template, if any."""
        templates = self._texts("template") or self._texts("prompt")
        return templates[-1] if templates else None

    @cached_property
    def system(self) -> str:
        return (self._texts("system") or [""])[-1]

    @cached_property
    def licenses(self) -> list[str]:
        return self._texts("license")

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The model's own options, by Ollama's names."""
        return self._json("params", dict[str, Any], dict)

    @cached_property
    def messages(self) -> list[Message]:
        """The messages before every conversation."""
        return [stored.message() for stored in self._json("messages", list[_StoredMessage], list)]

    @property
    def metadata(self) -> Metadata:
        """The header of the GGUF file, without its long arrays."""
        return cached_metadata(self.weights)

    @property
    def projector_metadata(self) -> Metadata:
        """The header of the first of `projectors`."""
        return cached_metadata(self.projectors[0])

    @cached_property
    def architecture(self) -> str:
        return self.metadata.architecture

    @cached_property
    def lengths(self) -> dict[str, int]:
        """`context_length` (tokens) and `embedding_length` (numbers), if the GGUF file has them."""
        values = {name: self.metadata.arch(name) for name in ("context_length", "embedding_length")}
        return {name: length for name, length in values.items() if isinstance(length, int) and length}

    @cached_property
    def chat_template(self) -> str | None:
        """The Jinja template in the GGUF file, if any."""
        return self.metadata.chat_template or None

    def details(self) -> dict[str, Any]:
        """Ollama's ModelDetails (api/types.go). Reads the GGUF file only if the config lacks a field."""
        return dict(self._details)

    @cached_property
    def _details(self) -> dict[str, Any]:
        config = self.config
        if config.get("file_type", "") in ("", "unknown") or not config.get("model_family"):
            # Damaged models are listed, too, because loading reports the damage.
            with suppress(LoadFailed):
                config = {**config, **describe(self.metadata)}
        weights = self._layers("model")
        return {
            "parent_model": weights[0].source if weights else "",
            "format": config.get("model_format", ""),
            "family": config.get("model_family", ""),
            "families": config.get("model_families"),
            "parameter_size": config.get("model_type", ""),
            "quantization_level": config.get("file_type", ""),
        }

    def capabilities(self) -> list[str]:
        """The capabilities, in Ollama's words (types/model/capability.go). Raises LoadFailed."""
        return list(self._capabilities)

    @cached_property
    def _capabilities(self) -> tuple[str, ...]:
        if purpose := pooling_capability(self.metadata):
            return (purpose,)
        capabilities = ["completion"]
        if any(key in self.metadata.values for key in _FILL_IN) or ".Suffix" in (self.template or ""):
            capabilities.append("insert")
        if self.projectors:
            capabilities += cached_metadata(self.projectors[0]).encoders
        return tuple(capabilities)

    def _state_without_weights(self) -> str:
        if host := self.config.get("remote_host"):
            return f"runs on {host}, not on this machine"
        # What Ollama runs with MLX, on Apple's GPUs (manifest/layer.go).
        why = " in GGUF: it is made for MLX, so pull another tag of it" if self._layers("tensor") else ""
        return f"has no weights{why}"

    def _layers(self, kind: str) -> list[Layer]:
        return [layer for layer in self.layers if layer.media_type == IMAGE + kind]

    def _paths(self, kind: str) -> tuple[Path, ...]:
        return tuple(self.blobs.path(layer.digest) for layer in self._layers(kind))

    def _texts(self, kind: str) -> list[str]:
        return [text(path).decode("utf-8", "replace") for path in self._paths(kind)]

    def _json(self, kind: str, type_: type[_T], empty: Callable[[], _T]) -> _T:
        paths = self._paths(kind)
        if not paths:
            return empty()
        try:
            return msgspec.json.decode(text(paths[-1]), type=type_)
        except msgspec.DecodeError as error:
            raise LoadFailed(f"model '{self.name.display()}' is damaged: its {kind}: {error}") from error


def _has_readable_projector(metadata: Metadata) -> bool:
    return metadata.architecture in PROJECTOR_INSIDE and metadata.projector_inside


def describe(metadata: Metadata) -> dict[str, Any]:
    """The config of a model made from a GGUF file with this header."""
    return {
        "model_format": "gguf",
        "model_family": metadata.architecture,
        "model_families": [metadata.architecture],
        "model_type": human_number(metadata.parameter_count),
        "file_type": metadata.quantization,
        "architecture": "amd64",
        "os": "linux",
    }


def text(path: Path) -> bytes:
    """The content of a text blob. Raises LoadFailed when it cannot be read or is too long."""
    try:
        if path.stat().st_size > _LONGEST:
            raise LoadFailed(f"{path} is longer than {_LONGEST >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise LoadFailed(f"cannot read {path}: {error.strerror}") from error
