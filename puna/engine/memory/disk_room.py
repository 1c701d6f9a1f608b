"""Which files of the prefix cache are deleted to make room for another."""

from __future__ import annotations

import heapq
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from puna.engine.memory import prefix_file

SUFFIX = ".kv"
PARTIAL = ".partial"

FOLDER_NAME = 32
"""Hexadecimal digits of a subfolder's name."""

_FOLDERS = "[0-9a-f]" * FOLDER_NAME
"""Other files in the folder do not belong to the cache and stay."""

_ABANDONED = 3600.0
"""Seconds after which a partial file counts as abandoned."""

_FREE = 20
"""One part in this many of the disk stays free for other programs."""

_DAY = 86400.0


def make_room(folder: Path, size: int, limit: int, *, spare: Path | None = None) -> bool:
    """Whether `size` more bytes fit below `folder`, after deleting the files of least worth except `spare`.

    A file is deleted after those that build on it. Raises OSError.
    """
    now = time.time()
    files: dict[Path, tuple[int, float]] = {}
    for path in folder.glob(f"{_FOLDERS}/*"):
        with suppress(OSError):
            state = path.stat()
            if path.suffix == PARTIAL and now - state.st_mtime > _ABANDONED:
                path.unlink()
            else:
                files[path] = state.st_size, state.st_mtime
    disk = shutil.disk_usage(folder)
    taken = sum(size for size, _ in files.values())
    limit = min(limit, taken + disk.free - disk.total // _FREE)
    if size > limit:
        return False
    if taken + size > limit:
        for path in _least_first({path: state for path, state in files.items() if path != spare}, now):
            if taken + size <= limit:
                break
            with suppress(OSError):
                path.unlink()
            taken -= files[path][0]
    return taken + size <= limit


def _least_first(files: dict[Path, tuple[int, float]], now: float) -> Iterator[Path]:
    """Files by their worth, each after those that build on it. `files`: bytes, and the time of the last use.

    Worth is tokens saved × uses per byte; it halves each day after the last use.
    """
    worths: dict[Path, float] = {}
    parents: dict[Path, Path] = {}
    for path, (size, used) in files.items():
        if path.suffix == SUFFIX:
            uses, tokens, parent = prefix_file.worth(path)
            worths[path] = uses * tokens / max(1, size) * 0.5 ** max(0.0, (now - used) / _DAY)
            parents[path] = path.with_stem(parent) if parent else path
    built_on = Counter(parent for path, parent in parents.items() if parent != path)
    free = [(worth, path) for path, worth in worths.items() if not built_on[path]]
    heapq.heapify(free)
    while free:
        _, path = heapq.heappop(free)
        yield path
        parent = parents[path]
        built_on[parent] -= 1
        if parent != path and parent in worths and not built_on[parent]:
            heapq.heappush(free, (worths[parent], parent))
