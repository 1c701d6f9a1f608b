"""Files that are written anew, as the gguf package reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import given
from hypothesis import strategies as st

from puna.gguf import (
    GGUFFile,
    StoredTensor,
    f32,
    flag,
    i32,
    read_metadata,
    string,
    truncate_array,
    u32,
    write,
)

TEXTS = ["one", "", "zwei\N{SNOWMAN}", "three"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_array("texts", TEXTS)
    writer.add_array("numbers", [1, 2, 3, 4, 5])
    writer.add_array("flags", [True, False, True])
    writer.add_uint64("large", 1 << 40)
    writer.add_tensor("one", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_values_are_of_the_types_they_are_named_after(tmp_path: Path):
    values = {
        "text": string("a\N{SNOWMAN}"),
        "flag": flag(True),
        "number": u32(2**32 - 1),
        "half": f32(0.5),
        "halves": f32((0.5, 0.25)),
        "signed": i32((-1, 2)),
    }
    with (tmp_path / "m.gguf").open("wb") as out:
        write(out, values, [])
    fields = GGUFReader(tmp_path / "m.gguf").fields
    found = {key: ([kind.name for kind in fields[key].types], fields[key].contents()) for key in values}
    assert found == {
        "text": (["STRING"], "a\N{SNOWMAN}"),
        "flag": (["BOOL"], True),
        "number": (["UINT32"], 2**32 - 1),
        "half": (["FLOAT32"], 0.5),
        "halves": (["ARRAY", "FLOAT32"], [0.5, 0.25]),
        "signed": (["ARRAY", "INT32"], [-1, 2]),
    }


def test_a_value_of_another_file_keeps_its_type(source: Path, tmp_path: Path):
    with GGUFFile(source) as file, (tmp_path / "m.gguf").open("wb") as out:
        (one,) = file.metadata.tensors
        write(out, file.values(), [StoredTensor("two", one.shape, 0, one.size, lambda: file.data(one, 5))])
    before, after = GGUFReader(source), GGUFReader(tmp_path / "m.gguf")
    assert {key: (field.types, field.contents()) for key, field in after.fields.items()} == {
        key: (field.types, field.contents()) for key, field in before.fields.items()
    }
    assert after.tensors[0].name == "two"
    assert np.array_equal(after.tensors[0].data, before.tensors[0].data)


@given(length=st.integers(0, 6))
def test_an_array_is_shortened(tmp_path_factory: pytest.TempPathFactory, length: int):
    folder = tmp_path_factory.mktemp("shortened")
    path = folder / "m.gguf"
    writer = GGUFWriter(path, "llama")
    arrays = {"texts": TEXTS, "numbers": [1, 2, 3, 4, 5], "flags": [True, False, True]}
    for key, array in arrays.items():
        writer.add_array(key, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with GGUFFile(path) as file, (folder / "short.gguf").open("wb") as out:
        write(out, {key: truncate_array(value, length) for key, value in file.values().items()}, [])
    metadata = read_metadata(folder / "short.gguf")
    assert {key: metadata.get(key) for key in arrays} == {
        key: array[:length] for key, array in arrays.items()
    }
    assert metadata.architecture == "llama"


def test_a_file_that_became_shorter(source: Path):
    with GGUFFile(source) as file:
        source.write_bytes(source.read_bytes()[: file.metadata.data_start + 4])
        with pytest.raises(OSError, match="the file became shorter"):
            list(file.data(file.metadata.tensors[0]))
