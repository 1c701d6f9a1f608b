"""Converts GGUF files of Ollama's own converter to the form that libllama and libmtmd expect.

Models from Ollama's library may include their projector, or use older names. Their files stay unchanged:
libllama reads a converted view of them. Each module describes the differences of one family.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from puna.engine.ollama_gguf import (
    arctic_embed2,
    deepseekocr,
    gemma3,
    gemma3n,
    gemma4,
    glm4moelite,
    glmocr,
    gptoss,
    laguna,
    lfm2,
    llama3,
    llama4,
    llava,
    mistral3,
    nemotron_h_moe,
    nemotron_h_omni,
    olmo3,
    qwen3next,
    qwen3vl,
    qwen25vl,
    qwen35,
)
from puna.engine.ollama_gguf.edit import Edit, edited_header, without
from puna.engine.ollama_gguf.edited import EditedFile
from puna.engine.ollama_gguf.projectors import INSIDE
from puna.errors import LoadFailed
from puna.gguf import GGUFFile, Metadata


def _without_projector(file: GGUFFile) -> Edit | None:
    tensors = without(file, *INSIDE)
    return Edit(tensors) if len(tensors) < len(file.tensors) else None


_TEXT: dict[str, Callable[[GGUFFile], Edit | None]] = {
    "bert": arctic_embed2.text,
    "deepseekocr": deepseekocr.text,
    "gemma3": gemma3.text,
    "gemma3n": gemma3n.text,
    "gemma4": gemma4.text,
    "glm4moelite": glm4moelite.text,
    "glmocr": glmocr.text,
    "gptoss": gptoss.text,
    "laguna": laguna.text,
    "lfm2": lfm2.text,
    "llama": llama3.text,
    "llama4": _without_projector,
    "mistral3": mistral3.text,
    "nemotron_h_moe": nemotron_h_moe.text,
    "nemotron_h_omni": nemotron_h_omni.text,
    "olmo3": olmo3.text,
    "qwen25vl": qwen25vl.text,
    "qwen3next": qwen3next.text,
    "qwen35": qwen35.text,
    "qwen35moe": qwen35.text,
    "qwen3vl": qwen3vl.text,
    "qwen3vlmoe": qwen3vl.text,
}
_DRAFTING: dict[str, Callable[[GGUFFile], Edit | None]] = {
    "qwen35": qwen35.drafting,
    "qwen35moe": qwen35.drafting,
}
"""With an MTP layer in a form of its own, which is loaded only where it drafts."""
_INSIDE: dict[str, Callable[[GGUFFile], Edit | None]] = {
    "deepseekocr": deepseekocr.projector,
    "gemma3": gemma3.projector,
    "gemma4": gemma4.projector,
    "glmocr": glmocr.projector,
    "llama4": llama4.projector,
    "mistral3": mistral3.projector,
    "nemotron_h_omni": nemotron_h_omni.projector,
    "qwen25vl": qwen25vl.projector,
    "qwen35": qwen3vl.projector,
    "qwen35moe": qwen3vl.projector,
    "qwen3vl": qwen3vl.projector,
    "qwen3vlmoe": qwen3vl.projector,
}
_PROJECTOR = _INSIDE | {"clip": llava.projector}

PROJECTOR_INSIDE = tuple(_INSIDE)
"""Architectures whose projector can be loaded from the model's file."""


@contextmanager
def edited(path: str, *, mtp: bool = False) -> Iterator[EditedFile | None]:
    """The language model in libllama's form, valid within the block; None if the file has it already.

    `mtp`: with the MTP layer that has a form of its own. Raises OSError, LoadFailed.
    """
    with GGUFFile(Path(path)) as file:
        edit = text_edit(file, mtp=mtp)
        yield EditedFile(file, edit) if edit else None


@contextmanager
def language_model(path: str, *, mtp: bool = False) -> Iterator[str]:
    """The path of the language model in libllama's form, valid within the block.

    `mtp`: with the MTP layer that has a form of its own. Raises OSError, LoadFailed.
    """
    with GGUFFile(Path(path)) as file, _edited_copy(file, path, text_edit(file, mtp=mtp)) as readable:
        yield readable


@contextmanager
def projector(path: str) -> Iterator[str]:
    """The path of the projector in libmtmd's form, valid within the block.

    Raises OSError, LoadFailed.
    """
    with GGUFFile(Path(path)) as file, _edited_copy(file, path, projector_edit(file)) as readable:
        yield readable


def language_header(path: Path) -> Metadata:
    """The header of the language model in libllama's form, with its MTP layer. Raises OSError, LoadFailed."""
    with GGUFFile(path) as file:
        edit = text_edit(file, mtp=True)
        return edited_header(file, edit) if edit else file.metadata


def text_edit(file: GGUFFile, *, mtp: bool = False) -> Edit | None:
    """The changes for libllama; None if none are needed. Raises LoadFailed for an unsupported form."""
    families = _TEXT | _DRAFTING if mtp else _TEXT
    architecture = file.metadata.get("general.architecture")
    family = families.get(architecture) if isinstance(architecture, str) else None
    edit = _edit(family, file) if family else None
    # A separate projector file has no token embeddings.
    if edit is None and "token_embd.weight" in file.tensors and _without_projector(file):
        raise LoadFailed(
            f'unable to load model: this "{architecture}" keeps its projector inside, '
            "which is not supported; take a GGUF file that was made for llama.cpp"
        )
    return edit


def projector_edit(file: GGUFFile) -> Edit | None:
    """The changes for libmtmd; None if none are needed or the form is unsupported. Raises LoadFailed."""
    architecture = file.metadata.get("general.architecture")
    family = _PROJECTOR.get(architecture) if isinstance(architecture, str) else None
    return _edit(family, file) if family else None


def _edit(family: Callable[[GGUFFile], Edit | None], file: GGUFFile) -> Edit | None:
    try:
        return family(file)
    except (ArithmeticError, LookupError, ValueError, struct.error) as error:
        name = file.metadata.architecture
        raise LoadFailed(f'unable to load model: its tensors or sizes are not those of a "{name}"') from error


@contextmanager
def _edited_copy(file: GGUFFile, path: str, edit: Edit | None) -> Iterator[str]:
    if edit is None:
        yield path
    elif hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("puna"), "wb") as out:
            EditedFile(file, edit).write(out)
            out.flush()
            yield f"/proc/self/fd/{out.fileno()}"
    else:
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "model.gguf"), "xb") as out:
                EditedFile(file, edit).write(out)
            yield out.name
