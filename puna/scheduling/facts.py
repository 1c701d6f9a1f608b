"""The facts about a model before its load: its files, their sizes and their headers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from puna.errors import LoadFailed
from puna.scheduling.memory import SizeFacts, count
from puna.scheduling.tensors import TensorFacts

if TYPE_CHECKING:
    from puna.library import Model

_MTP = ("qwen35", "qwen35moe")
"""Architectures whose MTP layer Ollama's converter does not count (engine/ollama_gguf/qwen35.py)."""

RunnerKey = tuple[str, ...]
"""The files of a model. Requests for the same files share a runner."""


def key(weights: str, adapters: tuple[str, ...], *beside: str) -> RunnerKey:
    """`beside`: the projector and the draft model, "" if missing."""
    return (weights, *adapters, *filter(None, beside))


@dataclass(frozen=True)
class FileFacts:
    """A GGUF file that a model is loaded with; `size` in bytes, 0 if it is counted elsewhere."""

    path: str
    size: int
    metadata: SizeFacts


def _path(file: FileFacts | None) -> str:
    return file.path if file else ""


@dataclass(frozen=True)
class Facts:
    """The facts for planning; `weights_size` in bytes, adapters included."""

    path: str
    weights_size: int
    metadata: SizeFacts
    embedding: bool = False
    """Whether it embeds or ranks instead of generating."""
    ranking: bool = False
    adapters: tuple[str, ...] = ()
    projector: FileFacts | None = None
    """Turns images into embeddings."""
    draft: FileFacts | None = None
    """The draft model."""
    tensors: Sequence[TensorFacts] = ()
    """Of the weights' file; only where there are devices."""
    drafting: SizeFacts | None = None
    """The weights' header with an MTP layer that is in the file, but not in its header's values."""

    @property
    def key(self) -> RunnerKey:
        return key(self.path, self.adapters, _path(self.projector), _path(self.draft))


def key_of(model: Model) -> RunnerKey:
    """The key of the runner that `model` has, or would have."""
    return key(str(model.weights), _adapters(model), _projector(model), _draft(model))


def facts_of(model: Model) -> Facts:
    """Raises LoadFailed when a file cannot be read."""
    adapters, projector, draft = _adapters(model), _projector(model), _draft(model)
    try:
        size = sum(os.stat(file).st_size for file in (model.weights, *adapters))
        # A projector inside the file of the weights is counted with them.
        projector_size = os.stat(projector).st_size if projector not in ("", str(model.weights)) else 0
        draft_size = os.stat(draft).st_size if draft else 0
    except OSError as error:
        raise LoadFailed(f"cannot read {error.filename}: {error.strerror}") from error
    return Facts(
        path=str(model.weights),
        weights_size=size,
        metadata=model.metadata,
        embedding="completion" not in model.capabilities(),
        ranking="rerank" in model.capabilities(),
        adapters=adapters,
        tensors=model.metadata.tensors,
        projector=FileFacts(projector, projector_size, model.projector_metadata) if projector else None,
        draft=FileFacts(draft, draft_size, model.draft_metadata) if draft else None,
        drafting=_drafting(model),
    )


def _drafting(model: Model) -> SizeFacts | None:
    """The header with one more layer if Ollama's converter wrote an MTP layer; None if not."""
    header = model.metadata
    name = header.architecture
    if name not in _MTP or all(tensor.name != "mtp.fc.weight" for tensor in header.tensors):
        return None
    heads = header.arch("attention.head_count_kv")
    values = {
        "nextn_predict_layers": 1,
        "block_count": count(header.arch("block_count")) + 1,
        "attention.head_count_kv": [*heads, count(heads)] if isinstance(heads, list) else heads,
    }
    return replace(header, values=header.values | {f"{name}.{key}": value for key, value in values.items()})


def _adapters(model: Model) -> tuple[str, ...]:
    return tuple(map(str, model.adapters))


def _draft(model: Model) -> str:
    return str(model.draft or "")


def _projector(model: Model) -> str:
    return str(next(iter(model.projectors), ""))
