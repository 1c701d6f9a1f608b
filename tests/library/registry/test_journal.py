"""The journal says what is on disk, whatever became of who wrote it."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.library.registry import journal
from puna.library.registry.journal import Journal, claim, completed


def opened(path: Path) -> FileIO:
    file = claim(path)
    assert file
    return file


def test_another_takes_it_up_where_it_stands(tmp_path: Path):
    path = tmp_path / "journal"
    with opened(path) as file:
        first = Journal.begin(file, 25, 10, data=False)
        assert [first.extent(index) for index in range(3)] == [(0, 10), (10, 20), (20, 25)]
        first.advance(0, 10)
        first.advance(2, 4)
        assert (first.prefix(), first.completed) == (10, 14)
        assert completed(path) == 14
    with opened(path) as file:
        second = Journal.begin(file, 25, 7, data=True)
        assert (second.part, second.done) == (10, [10, 0, 4])
        second.advance(1, 10)
        assert second.prefix() == 24
        second.advance(2, 1)
        assert second.prefix() == 25


@pytest.mark.parametrize(("size", "data"), [(24, True), (25, False)])
def test_it_begins_anew_for_another_size_or_without_data(tmp_path: Path, size: int, data: bool):
    path = tmp_path / "journal"
    with opened(path) as file:
        Journal.begin(file, 25, 10, data=False).advance(0, 10)
        assert Journal.begin(file, size, 5, data=data).done == [0] * 5
    assert completed(path) == 0


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_nonsense_is_nothing(content: bytes):
    assert journal._positions(content) is None
    found = journal._positions(b"puna-partial-1\n\0" + content)
    if found:
        size, part, done = found
        assert all(0 <= number <= min(part, size - index * part) for index, number in enumerate(done))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 700), st.data())
def test_the_prefix_is_what_is_there_without_a_gap(size: int, part: int, data: st.DataObject):
    class Nowhere(FileIO):
        def __init__(self) -> None: ...

        def seek(self, *_: object) -> int:
            return 0

        def write(self, content: object) -> int:
            return 8

    found = Journal(Nowhere(), size, part, [0] * -(-size // part))
    there = bytearray(size)
    for _ in range(data.draw(st.integers(0, 20))):
        open_parts = [
            index for index in range(len(found.done)) if found.remaining(index)[0] < found.remaining(index)[1]
        ]
        if not open_parts:
            break
        index = data.draw(st.sampled_from(open_parts))
        first, end = found.remaining(index)
        count = data.draw(st.integers(1, end - first))
        found.advance(index, count)
        there[first : first + count] = b"\1" * count
        assert found.prefix() == (there.find(0) if 0 in there else size)
        assert found.completed == sum(there)


def test_one_at_a_time_has_it(tmp_path: Path):
    path = tmp_path / "journal"
    with opened(path):
        assert claim(path) is None
    with opened(path):
        path.unlink()
        with opened(path):
            pass  # what is there now is another file, and nobody's
