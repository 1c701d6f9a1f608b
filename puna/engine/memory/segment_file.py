"""A segment's file, written or still to be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from puna.engine.memory import prefix_file

if TYPE_CHECKING:
    from puna.engine.memory.prefix_file import Contents


@dataclass(eq=False)
class File:
    """A segment's copy on disk, or in the queue for it."""

    path: Path
    parent: File | None
    logits: bool
    """Whether it has the logits at the prompt's end."""
    snapshots: tuple[int, ...]
    """Their lengths, in tokens."""
    contents: Contents | None = None
    """None once it is written."""
    gone: bool = False
    """It could not be written or read, or another replaces it."""

    @property
    def chain(self) -> Iterator[File]:
        """This file, its parent, and so on to the first."""
        file: File | None = self
        while file is not None:
            yield file
            file = file.parent

    def count_use(self) -> None:
        """Count one more use, if the file exists and is whole."""
        with suppress(OSError, prefix_file.Unusable):
            prefix_file.count_use(self.path)


def reason(error: OSError | MemoryError) -> str | None:
    return error.strerror if isinstance(error, OSError) else "out of memory"


def unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
