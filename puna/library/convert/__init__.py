"""Hugging Face folders (config.json, tokenizer, safetensors) and PEFT adapters, written as GGUF files.

One module a family in `families`; `checkpoint` reads, `tensors` reshapes, `writing` writes, a part at a time.
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
    """Write the language model in `folder` to `target`; matrices are F16, or BF16 if they are that already.

    `on_bytes(done, total)` counts tensor bytes written, and an error raised in it stops the work; `about`
    holds `general.…` strings such as name and license. Memory stays below 1.5 times the largest tensor.
    Raises BadRequest, which names the file and what is wrong with it; what is written by then stays.
    """
    from puna.library.convert.conversion import write_model

    write_model(folder, target, on_bytes, about)


def convert_projector(folder: Path, target: Path, on_bytes: Callable[[int, int], None]) -> bool:
    """Write the vision part of the model in `folder` to `target`; False, and nothing written, if it has none.

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
