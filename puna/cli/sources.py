"""The files of a FROM, ADAPTER or DRAFT path (Ollama parser/parser.go, filesForModel)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from puna.cli.connection import CommandFailed

_WEIGHTS = ("model*.safetensors", "consolidated*.safetensors", "*.safetensors", "*.gguf")
"""Patterns of weights. Only the first matching pattern counts: some folders have the weights twice."""
_PICKLED = ("*.bin", "*.pth", "*.pt")
_CONFIGURATION = ("*.json", "*/*.json", "chat_template.jinja")
_TOKENIZERS = ("tokenizer.model", "*/tokenizer.model")
_PART = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.(?P<kind>gguf|safetensors)")
_GGUF = b"GGUF"
_POINTER = b"version https://git-lfs.github.com/spec/"


def files_at(path: Path) -> list[Path]:
    """The files of `path`: all parts of a GGUF file, or what the conversion of a folder needs.

    A safetensors file comes with its other parts, and with the configuration beside it. Raises CommandFailed
    naming the file that cannot be used or read.
    """
    with read_errors(path):
        if path.is_dir():
            files = _with_configuration(path, _weights(path))
        else:
            files = _parts(path)
            if path.suffix == ".safetensors":
                files += _with_configuration(path.parent, [])
    for file in files:
        with read_errors(file):
            if not file.is_file():
                raise CommandFailed(f"{file}: not a regular file")
            with file.open("rb") as opened_file:
                begins = opened_file.read(len(_POINTER))
        if begins == _POINTER:
            raise CommandFailed(f"{file}: a Git LFS pointer, not the file itself; fetch it: git lfs pull")
        # Other files may have any format, but weights must be GGUF or safetensors.
        if (file == path or file.suffix == ".gguf") and not _is_weights(file, begins):
            raise CommandFailed(f"{file}: neither a GGUF file nor safetensors")
    return files


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Raises CommandFailed naming the file that cannot be read."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(f"{error.filename or path}: {error.strerror or error}") from None


def _is_weights(file: Path, begins: bytes) -> bool:
    return begins.startswith(_GGUF) or file.suffix == ".safetensors"


def looks_like_path(text: str) -> bool:
    """Whether `text` can only be a path, not a model's name."""
    return (
        text.startswith(("/", "./", "../", "~", "\\"))
        or text in (".", "..")
        or text.endswith((".gguf", ".safetensors", ".bin"))
    )


def request_names(files: Iterable[Path]) -> dict[str, Path]:
    """The files by their names in a create request: paths relative to their common folder."""
    absolute = {Path(os.path.abspath(file)) for file in files}
    if not absolute:
        return {}
    root = os.path.commonpath([file.parent for file in absolute])
    return {file.relative_to(root).as_posix(): file for file in sorted(absolute)}


def _parts(path: Path) -> list[Path]:
    """All parts of a split file, in order; for any other file only `path`."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return [path]
    count = int(match["count"])
    end = f"-of-{match['count']}.{match['kind']}"
    parts = [path.with_name(f"{match['stem']}-{n:05}{end}") for n in range(1, count + 1)]
    for part in parts:
        if not part.exists():
            raise CommandFailed(f"{part}: no such file, one of the {count} parts of a split model")
    return parts


def _weights(folder: Path) -> list[Path]:
    """The weights in a folder. Raises CommandFailed when there are none."""
    weights = next(filter(None, (_glob(folder, pattern) for pattern in _WEIGHTS)), None)
    if weights is None:
        pickled = any(_glob(folder, pattern) for pattern in _PICKLED)
        hint = "; PyTorch's own files cannot be converted, safetensors can" if pickled else ""
        raise CommandFailed(f"{folder}: no safetensors or GGUF files found{hint}")
    if weights[0].match("model*.safetensors"):
        weights += _glob(folder, "*/model*.safetensors")  # The dense layers of sentence transformers.
    return weights


def _with_configuration(folder: Path, weights: list[Path]) -> list[Path]:
    """`weights` and the other files that their conversion needs, all inside `folder`."""
    configuration = [file for pattern in _CONFIGURATION for file in _glob(folder, pattern)]
    tokenizer = next(filter(None, (_glob(folder, pattern) for pattern in _TOKENIZERS)), [])
    root = folder.resolve()
    files = list(dict.fromkeys(weights + configuration + tokenizer))
    for file in files:
        # A link in a downloaded folder must not expose other files of this machine.
        if not file.resolve().is_relative_to(root):
            raise CommandFailed(f"insecure path: {file} is a link out of its folder, to {file.resolve()}")
    return files


def _glob(folder: Path, pattern: str) -> list[Path]:
    """The matching files, except those in hidden folders, such as a download's cache."""
    files = sorted(folder.glob(pattern))
    return [file for file in files if not any(p.startswith(".") for p in file.relative_to(folder).parts)]
