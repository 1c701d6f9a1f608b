"""Images and sounds that a prompt names: typed, quoted or dropped into it (Ollama interactive.go)."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from puna.cli.connection import CommandFailed
from puna.file_kinds import IMAGES, SOUNDS, kind_of

LARGEST = 100 << 20
"""Maximum bytes of a file, as in Ollama."""
_LONGEST, _MOST = 1024, 4
"""Limits on the search for a path's end, in characters and endings: a prompt may be a megabyte of slashes."""

_START = re.compile(r"(?:file://|[A-Za-z]:(?=[/\\])|\.{1,2}(?=[/\\])|~(?=/))?[/\\]")
_END = re.compile(r"\.(?:jpe?g|png|webp|gif|wav|mp3|flac)\b", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([ ()\[\]{}$&;'\"\\*?~!#`<>|])")


@dataclass(frozen=True)
class NamedFile:
    """A file named by `text[start:end]`, which includes quotation marks."""

    start: int
    end: int
    path: Path


def find_files(text: str) -> list[NamedFile]:
    """The images and sounds that a text names. A path without a file is plain text."""
    files: list[NamedFile] = []
    at = 0
    while start := _START.search(text, at):
        file = _file_at(text, at, start.start(), start.end())
        if file:
            files.append(file)
        at = file.end if file else start.end()
    return files


def take_files(text: str) -> tuple[str, list[bytes]]:
    """The text without the names of files, and the files' content. Announces each file on standard error.

    Raises CommandFailed for a file that exists but cannot be used.
    """
    files = find_files(text)
    contents = [_read(file.path) for file in files]
    for file in reversed(files):
        text = text[: file.start] + text[file.end :]
    for file, content in zip(files, contents, strict=True):
        print(f"Added {'image' if kind_of(content, IMAGES) else 'audio'} '{file.path}'", file=sys.stderr)
    return (text.strip() if files else text), contents


def _file_at(text: str, free: int, start: int, after: int) -> NamedFile | None:
    """The file whose name starts at `start`: the shortest that exists, because names may contain spaces.

    The text before `free` belongs to other files.
    """
    line_end = text.find("\n", after)
    last = min(len(text) if line_end < 0 else line_end, start + _LONGEST)
    for end in islice(_END.finditer(text, after, last), _MOST):
        path = _find_file(text[start : end.end()])
        if path:
            mark = text[start - 1 : start] if start > free else ""
            quoted = mark in ("'", '"') and text.startswith(mark, end.end())
            return NamedFile(start - quoted, end.end() + quoted, path)
    return None


def _find_file(name: str) -> Path | None:
    """The file of a name, taken literally or unquoted as in a shell."""
    readings = dict.fromkeys((name, _ESCAPED.sub(r"\1", name)))
    if name.startswith("file://"):
        readings = dict.fromkeys([unquote(name.removeprefix("file://"))])
    for reading in readings:
        path = Path(os.path.expanduser(reading))
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            continue  # The path is too long or invalid.
    return None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise CommandFailed(f"Couldn't process file '{path}': it is larger than 100 MB")
        content = path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"Couldn't process file '{path}': {error.strerror}") from None
    if not kind_of(content, IMAGES | SOUNDS):
        raise CommandFailed(
            f"Couldn't process file '{path}': neither JPEG, PNG, WebP or GIF nor WAV, MP3 or FLAC"
        )
    return content
