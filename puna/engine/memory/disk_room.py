"""Evicts files of the prefix cache to make room for another."""

from __future__ import annotations

import heapq
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from puna.engine.cache_folder import cached_files, size_limit
from puna.engine.memory import prefix_file

SUFFIX = ".kv"

FOLDER_NAME = 32
"""Hexadecimal digits of a subfolder's name."""

_FOLDERS = "[0-9a-f]" * FOLDER_NAME
"""Files outside such subfolders do not belong to the cache."""

_DAY = 86400.0


def make_room(folder: Path, size: int, limit: int, *, spare: Path | None = None) -> bool:
    """Whether `size` more bytes fit into `folder`, after deleting the files of least worth except `spare`.

    A file is deleted after its children. Raises OSError.
    """
    files = cached_files(folder, f"{_FOLDERS}/*")
    used = sum(state.st_size for state in files.values())
    limit = size_limit(folder, limit, used)
    if size > limit:
        return False
    if used + size > limit:
        for path in _least_worth_first({path: state for path, state in files.items() if path != spare}):
            if used + size <= limit:
                break
            with suppress(OSError):
                path.unlink()
            used -= files[path].st_size
    return used + size <= limit


def _least_worth_first(files: dict[Path, os.stat_result]) -> Iterator[Path]:
    """Files by their worth, each after its children.

    Worth is tokens saved × uses per byte; it halves each day after the last use.
    """
    now = time.time()
    worths: dict[Path, float] = {}
    parents: dict[Path, Path] = {}
    for path, state in files.items():
        if path.suffix == SUFFIX:
            size, unused = state.st_size, max(0.0, now - state.st_mtime)
            uses, tokens, parent = prefix_file.worth(path)
            worths[path] = uses * tokens / max(1, size) * 0.5 ** (unused / _DAY)
            parents[path] = path.with_stem(parent) if parent else path
    children = Counter(parent for path, parent in parents.items() if parent != path)
    leaves = [(worth, path) for path, worth in worths.items() if not children[path]]
    heapq.heapify(leaves)
    while leaves:
        _, path = heapq.heappop(leaves)
        yield path
        parent = parents[path]
        children[parent] -= 1
        if parent != path and parent in worths and not children[parent]:
            heapq.heappush(leaves, (worths[parent], parent))
