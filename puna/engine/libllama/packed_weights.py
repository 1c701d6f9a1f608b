"""A model's weights in the layout that our kernels read (`native/packed_weights.h`)."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from puna.engine.libllama.kernels import native


class RepackFile(IntEnum):
    """What became of the file that a load should map."""

    NONE = 0
    UNUSED = 1
    """Most of it was not in the page cache: packing is faster than reading."""
    UNUSABLE = 2
    """It is damaged, or has other tensors."""
    MAPPED = 3


class PackedWeights:
    """A loaded model's packed weights; valid until the model is freed."""

    def __init__(self, library: ctypes.CDLL, handle: int, size: int, file: RepackFile) -> None:
        self._library = library
        self._handle = ctypes.c_void_p(handle)
        self.size = size
        """Bytes."""
        self.file = file

    def use_huge_pages(self) -> None:
        """Move data from 4 KB pages to huge ones. Other threads may evaluate meanwhile."""
        self._library.puna_repack_use_huge_pages(self._handle)

    def write(self, path: Path) -> None:
        """Write a file that a later load can map. Raises OSError."""
        if error := self._library.puna_repack_write(self._handle, os.fsencode(path)):
            raise OSError(error, os.strerror(error), str(path))


@contextmanager
def packing(file: Path | None) -> Iterator[list[PackedWeights]]:
    """A load in the block may map this file. After it, the list has the packed weights, if there are any."""
    packed: list[PackedWeights] = []
    library = native()
    if library is None:
        yield packed
        return
    library.puna_repack_begin(os.fsencode(file or ""))
    yield packed
    library.puna_repack_end.restype = ctypes.c_void_p
    state, size = ctypes.c_int(), ctypes.c_size_t()
    if handle := library.puna_repack_end(ctypes.byref(state), ctypes.byref(size)):
        packed.append(PackedWeights(library, handle, size.value, RepackFile(state.value)))
