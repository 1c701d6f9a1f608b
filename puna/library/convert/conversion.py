"""From a folder to a GGUF file: the family says what is in it, the tokenizer is read, all is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.families import FAMILIES, PROJECTORS
from puna.library.convert.vocabulary import read_vocabulary
from puna.library.convert.writing import Value, write
from puna.types import BadRequest


def write_model(
    folder: Path, target: Path, on_bytes: Callable[[int, int], None], about: Mapping[str, str]
) -> None:
    """See `puna.library.convert.convert`."""
    checkpoint = Checkpoint(folder)
    family = FAMILIES.get(checkpoint.architecture)
    if family is None:
        raise BadRequest(f'unsupported architecture "{checkpoint.architecture}"')
    plan = family(checkpoint)
    size = plan.vocabulary_size
    general: dict[str, Value] = {"general.type": "model"}
    general |= {f"general.{key}": text for key, text in about.items()}
    vocabulary = read_vocabulary(checkpoint, size).values()
    values = general | {"vocab_size": size} | plan.values | vocabulary
    write(target, plan.architecture, values, plan.tensors, on_bytes)


def write_projector(folder: Path, target: Path, on_bytes: Callable[[int, int], None]) -> bool:
    """See `puna.library.convert.convert_projector`."""
    checkpoint = Checkpoint(folder)
    family = PROJECTORS.get(checkpoint.architecture)
    if family is None or not checkpoint.config.section("vision_config").values:
        return False
    plan = family(checkpoint)
    write(target, plan.architecture, plan.values, plan.tensors, on_bytes)
    return True
