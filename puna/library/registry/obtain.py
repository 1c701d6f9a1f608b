"""Downloads a blob into the library, once for all threads and processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from puna.errors import PunaError
from puna.library.durable import write_errors
from puna.library.manifests import Layer
from puna.library.registry import journal
from puna.library.registry.client import Registry
from puna.library.registry.download import Download
from puna.library.registry.journal import Journal
from puna.library.registry.limits import TransferLimits
from puna.library.registry.measure import check_disk_space
from puna.library.registry.repository import normalize_digest
from puna.library.registry.source import RemoteBlob
from puna.library.registry.watch import Reporter, watch
from puna.library.store import Library
from puna.types import Progress, Report

JOURNAL = ".journal"
"""Suffix of the journal's name."""

_LOOK_AGAIN = 0.1  # seconds


def obtain(
    library: Library, registry: Registry, url: str, layer: Layer, report: Report, limits: TransferLimits
) -> None:
    """Ensure that the blob of `layer`, at `url`, is in the library and verified. Raises PunaError.

    A partial blob has the data, and a journal beside it the positions. Both stay after a failure, unless the
    digest is wrong.
    """
    digest = normalize_digest(layer.digest)

    def at(completed: int) -> Progress:
        return Progress(f"pulling {digest[7:19]}", digest=digest, total=layer.size, completed=completed)

    reporter = Reporter(report)
    positions = library.blobs.partial(digest, JOURNAL)
    while not _is_stored(library, digest, layer.size):
        with write_errors(positions.parent):
            claimed = journal.claim(positions)
        if claimed is None:
            reporter.report(at(journal.completed(positions)))
            time.sleep(_LOOK_AGAIN)
            continue
        with claimed:
            if not _is_stored(library, digest, layer.size):
                _fetch(library, RemoteBlob(registry, url, digest, layer.size), claimed, at, report, limits)
            with suppress(OSError):  # Windows cannot remove an open file; pruning removes it later.
                positions.unlink()
    report(at(layer.size))


def _is_stored(library: Library, digest: str, size: int) -> bool:
    try:
        return library.blobs.path(digest).stat().st_size == size and library.blobs.pin(digest)
    except OSError:
        return False


def _fetch(
    library: Library,
    source: RemoteBlob,
    file: FileIO,
    at: Callable[[int], Progress],
    report: Report,
    limits: TransferLimits,
) -> None:
    data = library.blobs.partial(source.digest)
    with write_errors(data.parent):
        kept = _allocate(data, source.size)
        positions = Journal.begin(file, source.size, limits.part, data=kept)
    download = Download(source, data, positions, limits)
    watch(download.work(), download.cancel, lambda: at(positions.completed), report)
    if download.digest != source.digest:
        with write_errors(data.parent):
            for path in (data, library.blobs.partial(source.digest, JOURNAL)):
                path.unlink(missing_ok=True)
        raise PunaError(
            f"digest mismatch, file must be downloaded again: want {source.digest}, got {download.digest}"
        )
    library.blobs.place(data, source.digest)


def _allocate(data: Path, size: int) -> bool:
    """Whether data of an earlier download exists; if not, allocates the file.

    Raises OSError, and PunaError when the disk has no room for the rest.
    """
    with open(os.open(data, os.O_RDWR | os.O_CREAT, 0o644), "rb+", buffering=0) as file:
        state = os.fstat(file.fileno())
        kept = state.st_size == size
        allocated = getattr(state, "st_blocks", 0) * 512 if kept else 0
        check_disk_space(data.parent, size - allocated)
        file.truncate(size)
    return kept
