"""Converts a folder to a GGUF file: plans the content by family, reads the tokenizer, writes the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.families import ARCHITECTURES, PROJECTORS
from puna.library.convert.vocabulary import read_vocabulary
from puna.library.convert.writing import Value, write


def write_model(
    folder: Path, target: Path, on_bytes: Callable[[int, int], None], about: Mapping[str, str]
) -> None:
    """See `puna.library.convert.convert`."""
    checkpoint = Checkpoint(folder)
    planned = ARCHITECTURES.get(checkpoint.architecture)
    if planned is None:
        raise BadRequest(f'unsupported architecture "{checkpoint.architecture}"')
    plan = planned(checkpoint)
    size = plan.vocabulary_size
    general: dict[str, Value] = {"general.type": "model"}
    general |= {f"general.{key}": text for key, text in about.items()}
    vocabulary = read_vocabulary(checkpoint, size).values()
    values = general | {"vocab_size": size} | plan.values | vocabulary
    write(target, plan.architecture, values, plan.tensors, on_bytes)


def write_projector(folder: Path, target: Path, on_bytes: Callable[[int, int], None]) -> bool:
    """See `puna.library.convert.convert_projector`."""
    checkpoint = Checkpoint(folder)
    planned = PROJECTORS.get(checkpoint.architecture)
    if planned is None or not checkpoint.config.section("vision_config").values:
        return False
    plan = planned(checkpoint)
    write(target, plan.architecture, plan.values, plan.tensors, on_bytes)
    return True
