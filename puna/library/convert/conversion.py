"""Converts a folder to a GGUF file: plans the content by family, reads the tokenizer, writes the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.families import ARCHITECTURES, PROJECTORS
from puna.library.convert.vocabulary import read_vocabulary
from puna.library.convert.writing import Value, write


def convert(
    folder: Path,
    target: Path,
    on_bytes: Callable[[int, int], None],
    about: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write the language model in `folder` to `target`. Matrices become F16, or stay BF16.

    `on_bytes(done, total)` counts tensor bytes written; an error raised in it stops the work. `about` holds
    `general.…` strings such as name and license. Memory stays below 1.5 times the largest tensor.
    Raises BadRequest naming the file and the problem; a partial `target` may remain.
    """
    checkpoint = Checkpoint(folder)
    make_plan = ARCHITECTURES.get(checkpoint.architecture)
    if make_plan is None:
        raise BadRequest(f'unsupported architecture "{checkpoint.architecture}"')
    plan = make_plan(checkpoint)
    size = plan.vocabulary_size
    general: dict[str, Value] = {"general.type": "model"}
    general |= {f"general.{key}": text for key, text in about.items()}
    vocabulary = read_vocabulary(checkpoint, size).values()
    values = general | {"vocab_size": size} | plan.values | vocabulary
    write(target, plan.architecture, values, plan.tensors, on_bytes)


def convert_projector(folder: Path, target: Path, on_bytes: Callable[[int, int], None]) -> bool:
    """Write the vision part of the model in `folder` to `target`; False, without a file, if it has none.

    Raises BadRequest as `convert` does.
    """
    checkpoint = Checkpoint(folder)
    make_plan = PROJECTORS.get(checkpoint.architecture)
    if make_plan is None or not checkpoint.config.section("vision_config").values:
        return False
    plan = make_plan(checkpoint)
    write(target, plan.architecture, plan.values, plan.tensors, on_bytes)
    return True
