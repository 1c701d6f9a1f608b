"""Converts Hugging Face folders (config.json, tokenizer, safetensors) and PEFT adapters to GGUF files.

`families` has one module per family; `checkpoint` reads, `tensors` reshapes and `writing` writes, in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from puna.gguf import Metadata

__all__ = ["convert", "convert_adapter", "convert_projector"]


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
    from puna.library.convert.conversion import write_model

    write_model(folder, target, on_bytes, about)


def convert_projector(folder: Path, target: Path, on_bytes: Callable[[int, int], None]) -> bool:
    """Write the vision part of the model in `folder` to `target`; False, without a file, if it has none.

    Raises BadRequest as `convert` does.
    """
    from puna.library.convert.conversion import write_projector

    return write_projector(folder, target, on_bytes)


def convert_adapter(folder: Path, target: Path, base: Metadata, on_bytes: Callable[[int, int], None]) -> None:
    """Write the LoRA adapter in `folder` (PEFT's or MLX's files) for the model `base` to `target`, as F32.

    Raises BadRequest when the files are wrong or the adapter does not fit `base`.
    """
    from puna.library.convert.adapters import write_adapter

    write_adapter(folder, target, base, on_bytes)
