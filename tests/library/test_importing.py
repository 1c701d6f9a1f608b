"""Files of this machine made blobs, without a second copy where the file system can."""

from __future__ import annotations

import errno
import os
import re
import tracemalloc
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import pytest

from puna.errors import BadRequest, NotFound
from puna.library import Library, hashing
from tests.library.stores import blobs, digest_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"precious" * 400_000)
    return path


def elsewhere(*_: object, **__: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.parametrize("copied", [False, True])
def test_a_file_of_this_machine_becomes_a_blob(
    library: Library, source: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    if copied:
        monkeypatch.setattr(os, "link", elsewhere)
        monkeypatch.setattr("puna.library.blobs.reflink", lambda *_: False)
    content, before = source.read_bytes(), source.stat()
    digest, size = library.blobs.import_file(source, expected=digest_of(content))
    blob = library.blobs.path(digest)
    assert (digest, size) == (digest_of(content), len(content))
    assert blob.read_bytes() == source.read_bytes() == content
    assert blobs(library) == {blob.name}
    assert source.stat().st_mtime_ns == before.st_mtime_ns
    assert source.stat().st_mode == before.st_mode
    assert not (copied and source.samefile(blob))
    source.unlink()
    assert blob.read_bytes() == content


def test_importing_takes_no_second_room_on_the_disk(library: Library, source: Path) -> None:
    before = os.statvfs(source.parent).f_bfree
    digest, size = library.blobs.import_file(source)
    blob = library.blobs.path(digest)
    taken = (before - os.statvfs(source.parent).f_bfree) * os.statvfs(source.parent).f_frsize
    assert blob.samefile(source) or taken < size


def test_importing_a_blob_of_the_store_itself_changes_nothing(library: Library) -> None:
    digest, size = library.blobs.add([b"content"])
    assert library.blobs.import_file(library.blobs.path(digest)) == (digest, size)
    assert library.blobs.path(digest).read_bytes() == b"content"
    assert blobs(library) == {digest.replace(":", "-")}


def test_importing_follows_a_link_to_the_file(library: Library, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    digest, _ = library.blobs.import_file(tmp_path / "link")
    assert not library.blobs.path(digest).is_symlink()
    assert library.blobs.path(digest).read_bytes() == source.read_bytes()


def test_what_cannot_be_imported_is_named(library: Library, source: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path, error in (
        (tmp_path / "absent", NotFound),
        (tmp_path / "nowhere", NotFound),
        (tmp_path, BadRequest),
        (tmp_path / "pipe", BadRequest),
        (Path("/dev/zero"), BadRequest),
        (tmp_path / "nul\0", BadRequest),
    ):
        with pytest.raises(error, match=re.escape(str(path))):
            library.blobs.import_file(path)
    with pytest.raises(BadRequest, match="digest mismatch"):
        library.blobs.import_file(source, expected=digest_of(b"other"))
    with pytest.raises(BadRequest, match="invalid digest format"):
        library.blobs.import_file(source, expected="md5:1")
    assert not library.root.exists() or blobs(library) == set()


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    library: Library, source: Path, monkeypatch: pytest.MonkeyPatch, copied: bool, change: str
) -> None:
    monkeypatch.setattr("puna.library.blobs.reflink", lambda *_: False)
    if copied:
        monkeypatch.setattr(os, "link", elsewhere)
    os.utime(source, (1, 1))

    def digest_meddled(file: FileIO, on_bytes: Callable[[int], None], copy: int | None = None) -> object:
        def meddle(done: int) -> None:
            on_bytes(done)
            with open(source, "r+b") as opened:
                if change == "shrink":
                    opened.truncate(done)
                else:
                    opened.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)
                    opened.write(b"changed")

        return hashing.digest_of(file, meddle, copy)

    monkeypatch.setattr("puna.library.blobs.digest_of", digest_meddled)
    with pytest.raises(BadRequest, match=rf"{source} changed while it was read"):
        library.blobs.import_file(source)
    assert blobs(library) == set()


def test_reading_a_large_file_takes_little_memory(library: Library, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with open(big, "wb") as file:
        file.truncate(300 << 20)
    tracemalloc.start()
    library.blobs.import_file(big)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
