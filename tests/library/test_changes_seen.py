"""What others change in a store is seen at once, and what nobody changed is not read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from puna.errors import NotFound
from puna.library import Library
from tests.library.stores import displayed, manifest_path, put


def test_listing_again_reads_no_file(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        put(library, f"model{number}")
    first = library.list()

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} was read again")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert library.list() == first
    put(library, "model7", b"other weights")
    assert library.list()[0].weights.read_bytes() == b"other weights"


def test_another_program_s_change_is_seen(library: Library) -> None:
    put(library, "a", b"one")
    put(library, "b", b"two")
    assert library.open("a").weights.read_bytes() == b"one"
    os.replace(manifest_path(library, "b"), manifest_path(library, "a"))
    assert library.open("a").weights.read_bytes() == b"two"
    assert displayed(library) == ["a:latest"]


def test_changes_in_folders_that_were_still_for_long_are_seen_at_once(library: Library) -> None:
    put(library, "one")
    put(library, "two")
    for folder in (path for path in library.root.rglob("*") if path.is_dir()):
        os.utime(folder, (1, 1))
    assert displayed(library) == displayed(library) == ["one:latest", "two:latest"]
    other = Library(library.root)
    put(other, "one:b")
    assert displayed(library) == ["one:b", "one:latest", "two:latest"]
    assert library.open("ONE:B").name.display() == "one:b"
    other.delete("one:b")
    other.delete("two")
    assert displayed(library) == ["one:latest"]
    with pytest.raises(NotFound):
        library.open("two")


def test_listing_folders_that_were_still_for_long_reads_none(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(library, f"model{number}")
    for folder in (path for path in library.root.rglob("*") if path.is_dir()):
        os.utime(folder, (1, 1))
    first = library.list()
    monkeypatch.setattr(os, "scandir", None)
    assert library.list() == first
