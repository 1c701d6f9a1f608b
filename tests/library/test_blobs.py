from __future__ import annotations

import errno
import hashlib
import io
import multiprocessing
import os
import re
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.library import Library
from puna.types import BadRequest, NotFound, PunaError

forked = multiprocessing.get_context("fork")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def left(library: Library) -> list[str]:
    return [path.name for path in (library.root / "blobs").iterdir()]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")


@pytest.mark.parametrize("wrap", [lambda pieces: pieces, iter, lambda pieces: io.BytesIO(b"".join(pieces))])
def test_a_blob_is_named_by_what_it_holds(library: Library, wrap: Callable) -> None:
    pieces = [b"a" * 1_500_000, b"", b"b" * 7]
    seen: list[int] = []
    digest, size = library.add_blob(wrap(pieces), on_bytes=seen.append)
    content = b"".join(pieces)
    assert (digest, size) == (digest_of(content), len(content))
    assert library.blob_path(digest) == library.root / "blobs" / digest.replace(":", "-")
    assert library.blob_path(digest).read_bytes() == content
    assert seen == sorted(seen)
    assert seen[-1] == size
    assert left(library) == [digest.replace(":", "-")]


def test_nothing_is_created_before_something_is_written(library: Library) -> None:
    assert library.list() == []
    library.prune()
    assert not library.root.exists()


@given(st.text(max_size=80) | st.from_regex(r"sha256[:-][0-9a-f]{60,68}|md5:[0-9a-f]{64}"))
def test_only_digests_become_paths(text: str) -> None:
    try:
        path = Library(Path("/models")).blob_path(text)
    except BadRequest:
        return
    assert path.parent == Path("/models/blobs")
    assert len(path.name) == len("sha256-") + 64


@pytest.mark.parametrize("text", ["sha256:../../x", "sha256:" + "g" * 64, "sha256:" + "a" * 64 + "\n", ""])
def test_what_is_no_digest_is_refused(library: Library, text: str) -> None:
    with pytest.raises(BadRequest, match="invalid digest format"):
        library.blob_path(text)


def test_either_separator_and_case_name_the_same_blob(library: Library) -> None:
    assert library.blob_path("sha256:" + "AB" * 32) == library.blob_path("sha256-" + "ab" * 32)


def test_another_digest_than_expected_leaves_nothing(library: Library) -> None:
    with pytest.raises(BadRequest, match="digest mismatch"):
        library.add_blob([b"content"], expected=digest_of(b"other"))
    assert left(library) == []
    library.add_blob([b"content"], expected=digest_of(b"content").replace(":", "-"))
    assert left(library) == [digest_of(b"content").replace(":", "-")]


@pytest.mark.parametrize("error", [OSError(errno.ECONNRESET, "reset"), KeyboardInterrupt(), ValueError("x")])
def test_a_source_that_fails_leaves_nothing_and_keeps_its_error(
    library: Library, error: BaseException
) -> None:
    def source() -> Iterator[bytes]:
        yield b"part"
        raise error

    with pytest.raises(type(error)) as caught:
        library.add_blob(source())
    assert caught.value is error
    assert left(library) == []


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failing_disk_leaves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    library.add_blob([b"before"])

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        reason = "cannot write to" if number == errno.EIO else "not enough disk space"
        with pytest.raises(PunaError, match=reason):
            library.add_blob([b"content"])
    assert left(library) == [digest_of(b"before").replace(":", "-")]


def _fill(root: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        Library(root).add_blob([b"x" * 60_000] * 3)
    except PunaError as error:
        os._exit(7 if "not enough disk space" in str(error) else 8)


def test_a_file_that_may_not_grow_leaves_nothing(library: Library) -> None:
    child = forked.Process(target=_fill, args=(library.root,))
    child.start()
    child.join()
    assert child.exitcode == 7
    assert left(library) == []


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    library = Library(tmp_path / "file" / "models")
    assert library.list() == []
    with pytest.raises(PunaError, match="cannot write to"):
        library.add_blob([b"content"])


def _add_in_step(root: Path, barrier: Barrier) -> None:
    def source() -> Iterator[bytes]:
        for piece in (b"one", b"two", b"three"):
            barrier.wait(timeout=30)
            yield piece

    assert Library(root).add_blob(source()) == (digest_of(b"onetwothree"), 11)


def test_two_processes_write_the_same_blob_at_once(library: Library) -> None:
    barrier = forked.Barrier(2)
    children = [forked.Process(target=_add_in_step, args=(library.root, barrier)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert left(library) == [digest_of(b"onetwothree").replace(":", "-")]


def test_a_damaged_blob_is_replaced_by_a_whole_one(library: Library) -> None:
    digest, _ = library.add_blob([b"content"])
    library.blob_path(digest).write_bytes(b"damaged")
    library.add_blob([b"content"])
    assert library.blob_path(digest).read_bytes() == b"content"


def test_a_file_made_in_the_store_is_adopted(library: Library) -> None:
    with library.temporary() as path:
        path.write_bytes(b"made")
        digest, size = library.adopt_blob(path)
    assert (digest, size) == (digest_of(b"made"), 4)
    assert left(library) == [digest.replace(":", "-")]


def test_a_file_not_adopted_is_removed_and_never_looks_like_a_blob(library: Library) -> None:
    with library.temporary() as path:
        path.write_bytes(b"made")
        with pytest.raises(BadRequest):
            library.blob_path(path.name)
    assert left(library) == []

    def make() -> None:
        with library.temporary() as path:
            path.write_bytes(b"made")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make()
    assert left(library) == []


def test_a_file_from_elsewhere_is_not_adopted(library: Library, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"precious")
    with pytest.raises(ValueError, match="was not made in"):
        library.adopt_blob(mine)
    assert mine.read_bytes() == b"precious"


def test_pruning_takes_only_what_nobody_has_touched_for_an_hour(library: Library) -> None:
    fresh, _ = library.add_blob([b"fresh"])
    stale, _ = library.add_blob([b"stale"])
    with library.temporary() as path:
        path.write_bytes(b"")
        leftover, working = path.with_name("sha256-123-partial"), path
        leftover.write_bytes(b"")
        foreign = path.with_name("notes")
        foreign.mkdir()
        long_ago = time.time() - 3700
        for old in (library.blob_path(stale), leftover):
            os.utime(old, (long_ago, long_ago))

        Library(library.root, no_prune=True).prune()
        assert library.blob_path(stale).exists()
        assert not leftover.exists()
        library.prune()

        assert not library.blob_path(stale).exists()
        assert library.blob_path(fresh).exists()
        assert working.exists()
        assert foreign.exists()


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
        monkeypatch.setattr("puna.library.blobs.reflinked", lambda *_: False)
    content, seen, before = source.read_bytes(), [], source.stat()
    digest, size = library.import_blob(source, expected=digest_of(content), on_bytes=seen.append)
    blob = library.blob_path(digest)
    assert (digest, size) == (digest_of(content), len(content))
    assert blob.read_bytes() == source.read_bytes() == content
    assert left(library) == [blob.name]
    assert seen == sorted(seen)
    assert seen[-1] == size
    assert source.stat().st_mtime_ns == before.st_mtime_ns
    assert source.stat().st_mode == before.st_mode
    assert not (copied and source.samefile(blob))
    source.unlink()
    assert blob.read_bytes() == content


def test_importing_takes_no_second_room_on_the_disk(library: Library, source: Path) -> None:
    before = os.statvfs(source.parent).f_bfree
    digest, size = library.import_blob(source)
    blob = library.blob_path(digest)
    taken = (before - os.statvfs(source.parent).f_bfree) * os.statvfs(source.parent).f_frsize
    assert blob.samefile(source) or taken < size


def test_importing_a_blob_of_the_store_itself_changes_nothing(library: Library) -> None:
    digest, size = library.add_blob([b"content"])
    assert library.import_blob(library.blob_path(digest)) == (digest, size)
    assert library.blob_path(digest).read_bytes() == b"content"
    assert left(library) == [digest.replace(":", "-")]


def test_importing_follows_a_link_to_the_file(library: Library, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    digest, _ = library.import_blob(tmp_path / "link")
    assert not library.blob_path(digest).is_symlink()
    assert library.blob_path(digest).read_bytes() == source.read_bytes()


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
            library.import_blob(path)
    with pytest.raises(BadRequest, match="digest mismatch"):
        library.import_blob(source, expected=digest_of(b"other"))
    with pytest.raises(BadRequest, match="invalid digest format"):
        library.import_blob(source, expected="md5:1")
    assert not library.root.exists() or left(library) == []


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    library: Library, source: Path, monkeypatch: pytest.MonkeyPatch, copied: bool, change: str
) -> None:
    monkeypatch.setattr("puna.library.blobs.reflinked", lambda *_: False)
    if copied:
        monkeypatch.setattr(os, "link", elsewhere)
    os.utime(source, (1, 1))

    def meddle(done: int) -> None:
        with open(source, "r+b") as file:
            if change == "shrink":
                file.truncate(done)
            else:
                file.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)
                file.write(b"changed")

    with pytest.raises(BadRequest, match=rf"{source} changed while it was read"):
        library.import_blob(source, on_bytes=meddle)
    assert left(library) == []


def test_an_imported_blob_is_nobody_s_leftover_however_old_the_file(library: Library, source: Path) -> None:
    os.utime(source, (1, 1))
    digest, _ = library.import_blob(source)
    library.prune()
    assert library.blob_path(digest).exists()
    source.unlink()
    library.prune()
    assert left(library) == []


def age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_a_download_stays_for_a_week_and_is_placed_when_it_is_whole(library: Library) -> None:
    content = b"downloaded"
    partial, state = (library.partial_blob(digest_of(content), suffix) for suffix in ("", ".json"))
    week = 7 * 24 * 3600
    for path in (partial, state):
        path.write_bytes(content)
        age(path, week - 60)
    library.prune()
    library.place_blob(partial, digest_of(content))
    assert library.blob_path(digest_of(content)).read_bytes() == content
    age(state, week + 60)
    library.prune()
    assert left(library) == [digest_of(content).replace(":", "-")]
    with pytest.raises(ValueError, match="was not made in"):
        library.place_blob(library.root / "partial", digest_of(content))


def test_only_files_that_stores_have_are_pruned(library: Library) -> None:
    library.add_blob([b"x"])
    foreign = library.root / "blobs" / "thesis.txt"
    foreign.write_text("")
    os.utime(foreign, (0, 0))
    library.prune()
    assert foreign.exists()


def test_reading_a_large_file_takes_little_memory(library: Library, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with open(big, "wb") as file:
        file.truncate(300 << 20)
    tracemalloc.start()
    library.import_blob(big)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
