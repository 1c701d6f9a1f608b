"""What pruning, replacing and removing take of a store, and what they leave."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from puna.library import Library, receive, upload_offset
from puna.library.registry.journal import claim
from puna.library.working_folder import working_folder
from tests.library.stores import blob_name, blobs, digest_of, displayed, manifest_path, put


def test_pruning_keeps_every_blob_while_a_manifest_cannot_be_read(library: Library) -> None:
    model = put(library, "model")
    orphan, _ = library.blobs.add([b"orphan"])
    stray = library.root / "manifests" / ".0123-partial"
    stray.write_text("")
    for path in (model.weights, library.blobs.path(orphan), stray):
        os.utime(path, (0, 0))
    manifest_path(library, "model:bad").write_text("{")
    library.prune()
    assert library.blobs.path(orphan).exists()
    assert not stray.exists()
    library.delete("model:bad")
    library.prune()
    assert not library.blobs.path(orphan).exists()
    assert library.open("model").weights.exists()


@pytest.mark.parametrize("removing", [False, True])
def test_a_change_takes_what_was_left_for_a_day(library: Library, removing: bool) -> None:
    put(library, "model")
    old, new = (library.blobs.add([content])[0] for content in (b"quantised once", b"still in use"))
    for digest, hours in ((old, 25), (new, 23)):
        then = time.time() - hours * 3600
        os.utime(library.blobs.path(digest), (then, then))
    if removing:
        library.delete("model")
    else:
        put(library, "other")
    assert not library.blobs.path(old).exists()
    assert library.blobs.path(new).exists()


def test_noprune_keeps_what_replacing_leaves_but_not_what_removing_does(library: Library) -> None:
    keeping = Library(library.root, no_prune=True)
    put(keeping, "model", b"old")
    put(keeping, "model", b"new")
    old = keeping.blobs.path(digest_of(b"old"))
    for path in library.root.glob("blobs/*"):
        os.utime(path, (0, 0))
    keeping.prune()
    assert old.exists()
    keeping.delete("model")
    assert blobs(library) == {old.name}
    library.prune()
    assert blobs(library) == set()


def test_removing_spares_every_blob_while_another_manifest_cannot_be_read(library: Library) -> None:
    model = put(library, "model")
    put(library, "model:other", b"other")
    manifest_path(library, "model:other").write_text("{")
    library.delete("model")
    assert model.weights.exists()


def test_pruning_keeps_every_blob_while_a_folder_cannot_be_read(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(library, "mine.host/someone/model")
    put(library, "model", b"other")
    for path in library.root.glob("blobs/*"):
        os.utime(path, (0, 0))
    scandir = os.scandir

    def closed(folder: str) -> object:
        if str(folder).endswith("mine.host"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    before = blobs(library)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "scandir", closed)
        fresh = Library(library.root)
        assert displayed(fresh) == ["model:latest"]
        fresh.prune()
        fresh.delete("model")
    assert "mine.host cannot be read" in caplog.text
    assert blobs(library) == before
    assert displayed(library) == ["mine.host/someone/model:latest"]


def test_pruning_takes_only_what_nobody_has_touched_for_an_hour(library: Library) -> None:
    fresh, _ = library.blobs.add([b"fresh"])
    stale, _ = library.blobs.add([b"stale"])
    with library.blobs.temporary() as path:
        path.write_bytes(b"")
        leftover, working = path.with_name("sha256-123-partial"), path
        leftover.write_bytes(b"")
        foreign = path.with_name("notes")
        foreign.mkdir()
        long_ago = time.time() - 3700
        for old in (library.blobs.path(stale), leftover):
            os.utime(old, (long_ago, long_ago))

        Library(library.root, no_prune=True).prune()
        assert library.blobs.path(stale).exists()
        assert not leftover.exists()
        library.prune()

        assert not library.blobs.path(stale).exists()
        assert library.blobs.path(fresh).exists()
        assert working.exists()
        assert foreign.exists()


def test_an_imported_blob_is_nobody_s_leftover_however_old_the_file(library: Library, tmp_path: Path) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(b"precious")
    os.utime(source, (1, 1))
    digest, _ = library.blobs.import_file(source)
    library.prune()
    assert library.blobs.path(digest).exists()
    source.unlink()
    library.prune()
    assert blobs(library) == set()


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_a_download_stays_for_a_week_and_is_placed_when_it_is_whole(library: Library) -> None:
    content = b"downloaded"
    partial, state = (library.blobs.partial(digest_of(content), suffix) for suffix in ("", ".json"))
    week = 7 * 24 * 3600
    for path in (partial, state):
        path.write_bytes(content)
        age(path, week - 60)
    library.prune()
    library.blobs.place(partial, digest_of(content))
    assert library.blobs.path(digest_of(content)).read_bytes() == content
    age(state, week + 60)
    library.prune()
    assert blobs(library) == {blob_name(content)}
    with pytest.raises(ValueError, match="was not made in"):
        library.blobs.place(library.root / "partial", digest_of(content))


@pytest.mark.parametrize(("seconds", "left"), [(-60, 3), (60, 0)])
def test_what_arrived_of_an_upload_stays_for_a_week(library: Library, seconds: int, left: int) -> None:
    content = b"uploaded"

    def broken() -> Iterator[bytes]:
        yield content[:3]
        raise ConnectionError

    with pytest.raises(ConnectionError):
        receive(library, digest_of(content), 0, broken())
    (path,) = (library.root / "blobs").iterdir()
    age(path, 7 * 24 * 3600 + seconds)
    library.prune()
    assert upload_offset(library, digest_of(content)) == left
    receive(library, digest_of(content), left, [content[left:]])
    assert library.blobs.path(digest_of(content)).read_bytes() == content
    assert blobs(library) == {blob_name(content)}


def test_a_download_stays_while_it_is_under_way_or_nothing_is_pruned(library: Library) -> None:
    digest = digest_of(b"downloading")
    data, positions = (library.blobs.partial(digest, suffix) for suffix in ("", ".journal"))
    data.write_bytes(b"down")
    claimed = claim(positions)
    assert claimed
    for path in (data, positions):
        os.utime(path, (0, 0))
    with claimed:
        library.prune()
        assert data.exists()
        assert positions.exists()
    Library(library.root, no_prune=True).prune()
    assert data.exists()
    library.prune()
    assert not data.exists()
    assert not positions.exists()


def test_only_files_that_stores_have_are_pruned(library: Library) -> None:
    library.blobs.add([b"x"])
    foreign = library.root / "blobs" / "thesis.txt"
    foreign.write_text("")
    os.utime(foreign, (0, 0))
    library.prune()
    assert foreign.exists()


@pytest.mark.parametrize(
    "away",
    ["", "registry.ollama.ai", "registry.ollama.ai/library/model", "registry.ollama.ai/library/model/latest"],
)
def test_pruning_keeps_every_blob_while_a_link_among_the_manifests_leads_nowhere(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture, away: str
) -> None:
    """They may be kept on a disk that is not there just now."""
    put(library, "model")
    put(library, "h.io/other/model", b"other")
    linked, disk = library.root / "manifests" / away, tmp_path / "disk"
    linked.rename(disk)
    linked.symlink_to(disk)
    before = blobs(library)
    for path in library.root.glob("blobs/*"):
        os.utime(path, (0, 0))
    assert displayed(library) == ["h.io/other/model:latest", "model:latest"]
    disk.rename(tmp_path / "away")
    for fresh in (library, Library(library.root)):
        fresh.prune()
        with caplog.at_level(logging.WARNING):
            assert "model:latest" not in displayed(fresh)
        assert "left out of the list" in caplog.text
    if away:
        library.delete("h.io/other/model")
    assert blobs(library) == before
    (tmp_path / "away").rename(disk)
    assert library.open("model").weights.read_bytes() == b"weights"


def test_pruning_takes_the_blobs_of_a_model_whose_link_was_removed(library: Library, tmp_path: Path) -> None:
    put(library, "model")
    manifest_path(library, "model").rename(tmp_path / "manifest")
    manifest_path(library, "model").symlink_to(tmp_path / "manifest")
    assert library.open("model").weights.read_bytes() == b"weights"
    library.delete("model")
    assert (tmp_path / "manifest").exists()
    assert blobs(library) == set()


def test_pruning_takes_the_folder_of_a_killed_conversion_but_none_in_use(library: Library) -> None:
    blob = library.blobs.path(library.blobs.add([b"safetensors"])[0])
    used, left = library.root / ".convert", library.root / ".starter-tiny-1b"
    with working_folder(library.root, "convert", pytest.fail):
        os.link(blob, used / "model.safetensors")
        left.mkdir()
        (left / "half.whl").write_bytes(b"half")
        (library.root / ".starter-tiny-1b.lock").touch()
        library.prune()
        assert left.exists(), "it may be in use where there are no locks"
        for folder in (used, left):
            os.utime(folder, (0, 0))
        assert library.unused() == [(left, 4)]
        library.prune()
        assert (used.exists(), left.exists()) == (True, False)


def test_downloads_on_nfs_are_pruned_though_it_locks_no_file_that_is_only_read(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    real = fcntl.flock

    def flock(file: int, kind: int) -> None:
        writable = fcntl.fcntl(file, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR)
        if kind & fcntl.LOCK_EX and not writable:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # flock(2), "NFS details"
        real(file, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    old, used = (library.blobs.partial(digest_of(content), ".journal") for content in (b"old", b"used"))
    claimed = claim(used)
    assert claimed
    old.write_bytes(b"")
    for path in (old, used):
        os.utime(path, (0, 0))
    with claimed:
        library.prune()
    assert (old.exists(), used.exists()) == (False, True)
