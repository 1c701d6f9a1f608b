"""Blobs are there whole or not at all, named by what they hold."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import BadRequest, PunaError
from puna.library import Library
from tests.library.stores import blob_name, blobs, digest_of, put

forked = multiprocessing.get_context("fork")


@pytest.mark.parametrize("wrap", [list, iter])
def test_a_blob_is_named_by_what_it_holds(library: Library, wrap: Callable) -> None:
    pieces = [b"a" * 1_500_000, b"", b"b" * 7]
    digest, size = library.blobs.add(wrap(pieces))
    content = b"".join(pieces)
    assert (digest, size) == (digest_of(content), len(content))
    assert library.blobs.path(digest) == library.root / "blobs" / digest.replace(":", "-")
    assert library.blobs.path(digest).read_bytes() == content
    assert blobs(library) == {digest.replace(":", "-")}


def test_nothing_is_created_before_something_is_written(library: Library) -> None:
    assert library.list() == []
    library.prune()
    assert not library.root.exists()


@given(st.text(max_size=80) | st.from_regex(r"sha256[:-][0-9a-f]{60,68}|md5:[0-9a-f]{64}"))
def test_only_digests_become_paths(text: str) -> None:
    try:
        path = Library(Path("/models")).blobs.path(text)
    except BadRequest:
        return
    assert path.parent == Path("/models/blobs")
    assert len(path.name) == len("sha256-") + 64


@pytest.mark.parametrize("text", ["sha256:../../x", "sha256:" + "g" * 64, "sha256:" + "a" * 64 + "\n", ""])
def test_what_is_no_digest_is_refused(library: Library, text: str) -> None:
    with pytest.raises(BadRequest, match="invalid digest format"):
        library.blobs.path(text)


def test_either_separator_and_case_name_the_same_blob(library: Library) -> None:
    assert library.blobs.path("sha256:" + "AB" * 32) == library.blobs.path("sha256-" + "ab" * 32)


def test_another_digest_than_expected_leaves_nothing(library: Library) -> None:
    with pytest.raises(BadRequest, match="digest mismatch"):
        library.blobs.add([b"content"], expected=digest_of(b"other"))
    assert blobs(library) == set()
    library.blobs.add([b"content"], expected=blob_name(b"content"))
    assert blobs(library) == {blob_name(b"content")}


@pytest.mark.parametrize("error", [OSError(errno.ECONNRESET, "reset"), KeyboardInterrupt(), ValueError("x")])
def test_a_source_that_fails_leaves_nothing_and_keeps_its_error(
    library: Library, error: BaseException
) -> None:
    def source() -> Iterator[bytes]:
        yield b"part"
        raise error

    with pytest.raises(type(error)) as caught:
        library.blobs.add(source())
    assert caught.value is error
    assert blobs(library) == set()


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failing_disk_leaves_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    library.blobs.add([b"before"])

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        reason = "cannot write to" if number == errno.EIO else "not enough disk space"
        with pytest.raises(PunaError, match=reason):
            library.blobs.add([b"content"])
    assert blobs(library) == {blob_name(b"before")}


def _fill(root: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        Library(root).blobs.add([b"x" * 60_000] * 3)
    except PunaError as error:
        os._exit(7 if "not enough disk space" in str(error) else 8)


def test_a_file_that_may_not_grow_leaves_nothing(library: Library) -> None:
    child = forked.Process(target=_fill, args=(library.root,))
    child.start()
    child.join()
    assert child.exitcode == 7
    assert blobs(library) == set()


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    library = Library(tmp_path / "file" / "models")
    assert library.list() == []
    with pytest.raises(PunaError, match="cannot write to"):
        library.blobs.add([b"content"])


def _add_in_step(root: Path, barrier: Barrier) -> None:
    def source() -> Iterator[bytes]:
        for piece in (b"one", b"two", b"three"):
            barrier.wait(timeout=30)
            yield piece

    assert Library(root).blobs.add(source()) == (digest_of(b"onetwothree"), 11)


def test_two_processes_write_the_same_blob_at_once(library: Library) -> None:
    barrier = forked.Barrier(2)
    children = [forked.Process(target=_add_in_step, args=(library.root, barrier)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert blobs(library) == {blob_name(b"onetwothree")}


def test_a_damaged_blob_is_replaced_by_a_whole_one(library: Library) -> None:
    digest, _ = library.blobs.add([b"content"])
    library.blobs.path(digest).write_bytes(b"damaged")
    library.blobs.add([b"content"])
    assert library.blobs.path(digest).read_bytes() == b"content"


def test_a_file_made_in_the_store_is_adopted(library: Library) -> None:
    with library.blobs.temporary() as path:
        path.write_bytes(b"made")
        digest, size = library.blobs.adopt(path)
    assert (digest, size) == (digest_of(b"made"), 4)
    assert blobs(library) == {digest.replace(":", "-")}


def test_a_file_not_adopted_is_removed_and_never_looks_like_a_blob(library: Library) -> None:
    with library.blobs.temporary() as path:
        path.write_bytes(b"made")
        with pytest.raises(BadRequest):
            library.blobs.path(path.name)
    assert blobs(library) == set()

    def make() -> None:
        with library.blobs.temporary() as path:
            path.write_bytes(b"made")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make()
    assert blobs(library) == set()


def test_a_file_from_elsewhere_is_not_adopted(library: Library, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"precious")
    with pytest.raises(ValueError, match="was not made in"):
        library.blobs.adopt(mine)
    assert mine.read_bytes() == b"precious"


def test_of_a_blob_that_is_a_link_the_file_is_left_as_it_is(library: Library, tmp_path: Path) -> None:
    model, file = put(library, "model"), tmp_path / "on another disk"
    model.weights.rename(file)
    model.weights.symlink_to(file)
    os.utime(file, (1, 1))
    assert library.blobs.pin(model.layers[0].digest)
    library.copy("model", "copy")
    library.prune()
    assert library.open("copy").weights.read_bytes() == b"weights"
    for name in ("model", "copy"):
        library.delete(name)
    assert blobs(library) == set()
    assert (file.read_bytes(), file.stat().st_mtime) == (b"weights", 1)
