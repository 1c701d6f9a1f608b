"""A process that ends in the middle of a change leaves a library that lists, opens and can be changed."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from puna.errors import PunaError
from puna.library import Layer, Library, Name
from puna.library.pins import STALE
from tests.library.stores import IMAGE, digest_of, layer, manifest_path, put

KILLED = 9
POINTS = ("write", "fsync", "replace", "mkdir", "unlink", "rmdir", "link", "utime")
"""Every call of `os` through which the library changes the disk."""

CONFIG = {"model_format": "gguf", "model_family": "llama"}
"""What `put` gives its models."""

forked = multiprocessing.get_context("fork")


def begin(root: Path) -> None:
    library = Library(root)
    put(library, "kept", b"kept weights", system="shared")
    put(library, "replaced", b"old weights", system="old")
    put(library, "deleted", b"deleted weights", system="shared")
    orphan, _ = library.blobs.add([b"orphan"])
    os.utime(library.blobs.path(orphan), (0, 0))


def change(root: Path) -> None:
    library = Library(root)
    with library.blobs.temporary() as path:
        path.write_bytes(b"new weights")
        library.blobs.adopt(path)
    put(library, "replaced", b"new weights", system="new")
    put(library, "new.host/someone/added", b"new weights", system="new")
    library.copy("kept", "copied")
    library.delete("deleted")
    source = root.with_suffix(".gguf")
    source.write_bytes(b"imported weights")
    imported = Layer(IMAGE + "model", *library.blobs.import_file(source))
    library.write_manifest(Name.parse("imported"), CONFIG, [imported, layer(library, "system", b"shared")])
    for content in (b"pulled weights", b"pulled"):
        digest = digest_of(content)
        partial = library.blobs.partial(digest)
        partial.write_bytes(content)
        library.blobs.place(partial, digest)
    library.write_manifest_bytes(Name.parse("pulled"), manifest())
    library.prune()
    library.copy("pulled", "copied")


def manifest() -> bytes:
    """What a registry says of a model whose blobs are not there yet."""
    layers = [
        {"mediaType": IMAGE + kind, "digest": digest_of(content), "size": len(content)}
        for kind, content in (("model", b"pulled weights"), ("system", b"pulled"))
    ]
    return json.dumps({"layers": layers}).encode()


def check(root: Path, *, finished: bool) -> None:
    library = Library(root)
    found = {}
    for model in library.list():
        opened = library.open(model.name)
        found[model.name.model] = (opened.weights.read_bytes(), opened.system)
    assert found["kept"] == (b"kept weights", "shared")
    old, new = (b"old weights", "old"), (b"new weights", "new")
    assert found["replaced"] == new if finished else found["replaced"] in (old, new)
    assert found.get("added", new) == new
    pulled, imported = (b"pulled weights", "pulled"), (b"imported weights", "shared")
    assert found.get("copied", found["kept"]) in (found["kept"], pulled)
    assert found.get("pulled", pulled) == pulled
    assert found.get("imported", imported) == imported
    assert found.get("deleted", (b"deleted weights", "shared")) == (b"deleted weights", "shared")
    made = {"kept", "replaced", "added", "copied", "imported", "pulled"}
    assert set(found) <= made | {"deleted"}
    if finished:
        assert set(found) == made
        assert found["copied"] == pulled
        assert not library.blobs.path(digest_of(b"orphan")).exists()


def counted(stop_at: int, after: bool) -> None:
    """From now on this process ends at the call of a POINT with this number, before or after it is done."""
    calls = 0

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == stop_at and not after:
                os._exit(KILLED)
            try:
                return real(*given, **named)
            finally:
                if calls == stop_at:
                    os._exit(KILLED)

        return call

    os.fsync = lambda _: None  # Only a machine that stops loses what was written but not synced.
    for point in POINTS:
        setattr(os, point, wrap(getattr(os, point)))


def changed_until(root: Path, stop_at: int, after: bool) -> None:
    counted(stop_at, after)
    change(root)
    os._exit(0)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_point_leaves_a_whole_library(tmp_path: Path, after: bool) -> None:
    stop_at, code = 0, KILLED
    begin(tmp_path / "begin")
    while code == KILLED:
        stop_at += 1
        root = tmp_path / str(stop_at)
        shutil.copytree(tmp_path / "begin", root)
        child = forked.Process(target=changed_until, args=(root, stop_at, after))
        child.start()
        child.join()
        code = child.exitcode
        check(root, finished=code == 0)
        if code == KILLED and stop_at % 7 == 0:
            recover(root)
    assert code == 0
    assert stop_at > 80  # It did stop at each of the calls.


def recover(root: Path) -> None:
    """The change can be made after all, and an hour later nothing unfinished is left."""
    library = Library(root)
    if not manifest_path(library, "deleted").exists():
        put(library, "deleted", b"deleted weights", system="shared")
    change(root)
    check(root, finished=True)
    later = time.time() + 3 * STALE  # not by setting files back: a file that is linked goes by its ctime
    with mock.patch("time.time", return_value=later):
        library.prune()
    check(root, finished=True)
    assert not [path for path in root.rglob("*") if path.name.endswith("-partial")]
    referenced = {part.digest.replace(":", "-") for model in library.list() for part in model.layers}
    blobs = {path.name for path in (root / "blobs").iterdir()}
    assert referenced < blobs
    assert len(blobs) - len(referenced) == 1  # The one config that all share.


@pytest.mark.parametrize("point", ["write", "fsync", "replace", "mkdir"])
def test_a_failing_disk_leaves_the_library_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    begin(tmp_path)
    library = Library(tmp_path)
    weights = layer(library, "model", b"new weights")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, point, fail)
        with pytest.raises(PunaError, match="not enough disk space"):
            library.write_manifest(Name.parse("new.host/someone/added"), {"a": 1}, [weights])
        with pytest.raises(PunaError, match="not enough disk space"):
            library.copy("kept", "new.host/someone/copied")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before.items() <= after.items()
    assert not [path for path in after if path.name.endswith("-partial")]
    assert {model.name.model for model in library.list()} == {"kept", "replaced", "deleted"}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.EACCES])
def test_a_file_system_that_cannot_sync_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Some network file systems cannot."""
    real = os.fsync

    def fsync(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(number, os.strerror(number))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    begin(tmp_path / "models")
    change(tmp_path / "models")
    check(tmp_path / "models", finished=True)
