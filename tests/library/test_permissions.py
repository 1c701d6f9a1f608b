"""A store in which some is not ours to read: it is there all the same, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from puna.errors import LoadFailed, PunaError
from puna.library import Library, Name, check
from tests.library.nobody import anybodys_folder, as_nobody
from tests.library.stores import displayed, manifest_path, put


@pytest.fixture(params=["manifest", "folder", "host"])
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """A library with a model that nobody may read."""
    with anybodys_folder() as folder:
        library = Library(folder / "models")
        put(library, "open", b"shared")
        put(library, "h.io/some/closed:x", b"shared", system="closed")
        closed = manifest_path(library, "h.io/some/closed:x")
        closed = {"manifest": closed, "folder": closed.parent, "host": closed.parent.parent.parent}[
            request.param
        ]
        mode = closed.stat().st_mode
        closed.chmod(0)
        yield library
        closed.chmod(mode)


def test_what_may_not_be_read_is_said_and_not_called_missing(library: Library) -> None:
    def work() -> None:
        fresh = Library(library.root)
        assert displayed(fresh) == ["open:latest"]
        assert fresh.open("open").weights.read_bytes() == b"shared"
        for ask in (
            lambda: fresh.open("h.io/some/closed:x"),
            lambda: fresh.delete("h.io/some/closed:x"),
            lambda: fresh.copy("h.io/some/closed:x", "mine"),
        ):
            with pytest.raises(LoadFailed, match=r"^cannot read .*: Permission denied$"):
                ask()

    as_nobody(work)


def test_nothing_can_be_written_and_nothing_is_lost(library: Library) -> None:
    before = {path: path.read_bytes() for path in library.root.rglob("*") if path.is_file()}

    def work() -> None:
        fresh = Library(library.root)
        with suppress(PunaError):
            fresh.prune()
        for change in (
            lambda: fresh.delete("open"),
            lambda: fresh.copy("open", "mine"),
            lambda: fresh.blobs.add([b"new"]),
            lambda: fresh.write_manifest(Name.parse("new"), {}, fresh.open("open").layers),
        ):
            with pytest.raises(PunaError, match="cannot write to"):
                change()

    as_nobody(work)
    assert {path: path.read_bytes() for path in library.root.rglob("*") if path.is_file()} == before


def test_the_doctor_names_what_may_not_be_read(library: Library) -> None:
    def work() -> None:
        try:
            problems = [finding.problem for finding in check(Library(library.root), lambda step: None)]
        except PunaError as error:
            problems = [str(error)]
        assert any("cannot read" in problem or "cannot be read" in problem for problem in problems)

    as_nobody(work)
