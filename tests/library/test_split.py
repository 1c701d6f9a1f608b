"""Parts of a split GGUF file made one again: the same metadata and tensors as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from puna.errors import BadRequest
from puna.gguf import read_metadata
from puna.library.split import Shard, merge, order_shards, split_count, stem
from tests.library.split_files import split
from tests.model_parts import Quantisation
from tests.models import shape_model


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.gguf"
    shape_model(path, quantisation=Quantisation.Q8_0)
    return path


def shards(paths: list[Path]) -> list[Shard]:
    return [Shard(path.name, path, read_metadata(path)) for path in paths]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_parts_give_the_whole(whole: Path, tmp_path: Path, count: int):
    parts = shards(split(whole, tmp_path, count))
    assert [split_count(part.metadata) for part in parts] == [count] * count
    assert {stem(part) for part in parts} == {"model"}
    seen: list[tuple[int, int]] = []
    merge(order_shards(parts[::-1]), tmp_path / "merged.gguf", lambda done, total: seen.append((done, total)))

    merged, original = GGUFReader(tmp_path / "merged.gguf"), GGUFReader(whole)
    assert merged.fields.keys() == original.fields.keys()
    for key, field in original.fields.items():
        assert merged.fields[key].types == field.types
        assert merged.fields[key].contents() == field.contents()
    assert [tensor.name for tensor in merged.tensors] == [tensor.name for tensor in original.tensors]
    for ours, theirs in zip(merged.tensors, original.tensors, strict=True):
        assert ours.tensor_type == theirs.tensor_type
        assert np.array_equal(ours.data, theirs.data)
    assert read_metadata(tmp_path / "merged.gguf").tensors == read_metadata(whole).tensors
    assert seen[-1] == (sum(t.size for t in read_metadata(whole).tensors),) * 2


def test_an_error_while_it_is_merged_ends_it(whole: Path, tmp_path: Path):
    parts = order_shards(shards(split(whole, tmp_path, 2)))

    def leave(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        merge(parts, tmp_path / "merged.gguf", leave)


@pytest.mark.parametrize(
    ("count", "about", "message"),
    [
        (2, {"no": 5}, 'split GGUF "model-00001-of-00002.gguf" filename index 0 does not match'),
        (2, {"count": 3}, 'split GGUF "model-00001-of-00002.gguf" filename count 2 does not match'),
        (3, {"tensors": 99}, 'split GGUF "model-00001-of-00003.gguf" has 21 tensors, expected 99'),
    ],
)
def test_names_and_headers_must_agree(
    whole: Path, tmp_path: Path, count: int, about: dict[str, int], message: str
):
    parts = shards(split(whole, tmp_path, count, about))
    with pytest.raises(BadRequest) as error:
        _ = [stem(part) for part in parts] and order_shards(parts)
    assert str(error.value).startswith(message)


def test_a_part_must_be_named_like_one(whole: Path, tmp_path: Path):
    part = shards(split(whole, tmp_path, 2))[0]
    with pytest.raises(BadRequest, match=r"must use llama\.cpp split filename pattern"):
        stem(part._replace(name="model.gguf"))


def test_every_part_must_be_there_once(whole: Path, tmp_path: Path):
    first, _, third = shards(split(whole, tmp_path, 3))
    with pytest.raises(BadRequest, match="has 2 shards, expected 3"):
        order_shards([first, third])
    with pytest.raises(BadRequest, match="is missing shard 1"):
        order_shards([first, third, third])
