"""`open_tensors`: tensors by name, and no header believed that does not fit its file."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from puna.errors import BadRequest
from puna.library.convert.safetensors import open_tensors
from puna.library.convert.tensors import decode_bf16


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(start: int, end: int, shape: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_tensors_have_their_values_and_shapes(tmp_path: Path):
    matrix, scalar = np.arange(6, dtype="<f4").reshape(2, 3), np.array(9, dtype="<i8")
    header = {
        "__metadata__": {"format": "pt"},
        "scalar": entry(24, 32, [], "I64"),
        "matrix": entry(0, 24, [2, 3]),
        "empty": entry(32, 32, [0, 4]),
    }
    tensors = open_tensors(write(tmp_path / "t", header, matrix.tobytes() + scalar.tobytes()))
    assert set(tensors) == {"matrix", "scalar", "empty"}
    assert np.array_equal(tensors["matrix"].read(0, 2), matrix)
    assert np.array_equal(tensors["matrix"].read(1, 2), matrix[1:])
    assert tensors["scalar"].read(0, 1) == 9
    assert tensors["scalar"].shape == (1,)
    assert tensors["empty"].shape == (0, 4)


def test_bf16_numbers_are_the_upper_halves_of_f32(tmp_path: Path):
    header = {"a": entry(0, 6, [3], "BF16")}
    tensor = open_tensors(write(tmp_path / "t", header, np.array([0x3F80, 0xC000, 0x7F80], "<u2").tobytes()))[
        "a"
    ]
    assert decode_bf16(tensor.read(0, 3), tensor.dtype).tolist() == [1.0, -2.0, float("inf")]


def test_a_file_cut_short_after_it_was_opened_is_refused(tmp_path: Path):
    path = write(tmp_path / "t", {"a": entry(0, 8, [2])}, bytes(8))
    tensor = open_tensors(path)["a"]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BadRequest, match="t is damaged: it has been cut short"):
        tensor.read(0, 2)


LIES: list[tuple[Any, int, str]] = [
    ({"a": entry(0, 8, [2])}, 4, "tensor a does not fit"),
    ({"a": entry(0, 8, [3])}, 8, "tensor a does not fit"),
    ({"a": entry(8, 0, [2])}, 8, "tensor a does not fit"),
    ({"a": entry(0, 2**70, [2**68])}, 8, "tensor a does not fit"),
    ({"a": entry(-8, 0, [2])}, 8, "tensor a is not described"),
    ({"a": entry(0, 8, [-2])}, 8, "tensor a is not described"),
    ({"a": entry(0, 8, [True, 2])}, 8, "tensor a is not described"),
    ({"a": entry(0, 8, "2")}, 8, "tensor a is not described"),
    ({"a": {"dtype": "F32"}}, 8, "tensor a is not described"),
    ({"a": 3}, 8, "tensor a is not described"),
    ({"a": entry(0, 8, [2], "F4")}, 8, "has the type F4"),
    ({"a": entry(0, 4, [1] * 9)}, 4, "tensor a is not described"),
    ({"a": entry(0, 8, [2], ["F32"])}, 8, "which cannot be converted"),
    ({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, 12, "overlap"),
    ({"a": entry(0, 8, [2]), "b": entry(12, 20, [2])}, 20, "gap"),
    ({"a": entry(0, 8, [2])}, 12, "data after the last tensor"),
    ([1], 0, "not an object"),
    (b"{", 0, "not JSON"),
    (b"\xff\xfe", 0, "not JSON"),
    (b"[" * 100_000, 0, "not JSON"),
]


@pytest.mark.parametrize(("header", "size", "reason"), LIES)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: Any, size: int, reason: str):
    with pytest.raises(BadRequest, match=reason):
        open_tensors(write(tmp_path / "t", header, bytes(size)))


@pytest.mark.parametrize("content", [b"", b"1234567", struct.pack("<Q", 1), struct.pack("<Q", 2**63) + b"{}"])
def test_a_file_shorter_than_its_header_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(BadRequest, match="longer than the file"):
        open_tensors(tmp_path / "t")


@given(content=st.binary(max_size=64) | st.binary(max_size=64).map(lambda b: struct.pack("<Q", len(b)) + b))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_give_tensors_or_a_clear_error(tmp_path: Path, content: bytes):
    (tmp_path / "t").write_bytes(content)
    with suppress(BadRequest):
        assert open_tensors(tmp_path / "t") == {}


HEADERS = st.dictionaries(
    st.sampled_from(["a", "b", "__metadata__"]),
    st.one_of(
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F16", "BF16", "U8", "X", 3]),
                "shape": st.lists(st.integers(-1, 5) | st.just(2**62), max_size=3) | st.none(),
                "data_offsets": st.lists(st.integers(-1, 40) | st.just(2**63), max_size=3),
            }
        ),
        st.integers(),
    ),
)


@example(header={"t": {"dtype": "F32", "shape": [2**62, 0], "data_offsets": [0, 0]}}, data=b"")
@given(header=HEADERS, data=st.binary(max_size=40))
@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_any_header_gives_what_can_be_read_or_a_clear_error(tmp_path: Path, header: Any, data: bytes):
    with suppress(BadRequest):
        tensors = open_tensors(write(tmp_path / "t", header, data))
        sizes = [tensor.read(0, tensor.rows).nbytes for tensor in tensors.values()]
        assert sum(sizes) == len(data)
