"""A pull that is killed wherever it writes leaves a whole library, and the next one makes the model."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest

from puna.library import Library, pull, push
from puna.library.registry import TransferLimits
from tests.library.registry.conftest import LIMITS, contents, put
from tests.library.test_crash import KILLED, counted, forked
from tests.registries import Line

WEIGHTS = random.Random(8).randbytes(300_000)
SMALL = TransferLimits(**{**vars(LIMITS), "part": 100_000, "streams": 2})


def fetch(root: Path, name: str) -> Library:
    library = Library(root)
    pull(library, name, lambda step: None, insecure=True, key=root / "key", limits=SMALL)
    return library


def fetch_until(root: Path, name: str, stop_at: int, after: bool) -> None:
    counted(stop_at, after)
    fetch(root, name)
    os._exit(0)


def whole(library: Library) -> None:
    """Every blob that is to be seen is what its name says."""
    for path in library.root.glob("blobs/sha256-*"):
        if "partial" not in path.name:
            assert path.name == f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}"
    for model in library.list():
        library.open(model.name)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_point_of_a_pull(way: Line, tmp_path: Path, after: bool):
    name = f"{way.host}/library/killed"
    source = Library(tmp_path / "source")
    put(source, name, WEIGHTS)
    push(source, name, lambda step: None, insecure=True, key=tmp_path / "key", limits=LIMITS)
    fetch(tmp_path / "first", name)  # what the children need is imported now
    code, stop_at = KILLED, -1
    while code == KILLED:
        stop_at += 2  # after one call is before the next
        root = tmp_path / str(stop_at)
        child = forked.Process(target=fetch_until, args=(root, name, stop_at, after))
        child.start()
        child.join()
        code = child.exitcode
        whole(Library(root))
        library = fetch(root, name)
        assert contents(library, name) == contents(source, name)
        # Of a kill just after a blob was whole its journal stays: some bytes, pruned a week later.
        assert not list(root.glob("blobs/*-partial"))
    assert code == 0
    assert stop_at > 30
