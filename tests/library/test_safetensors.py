"""`open_tensors`: tensors by name, and no header believed that does not fit its file."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.library.safetensors import open_tensors
from puna.types import PunaError


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
    assert np.array_equal(tensors["matrix"], matrix)
    assert tensors["scalar"] == 9
    assert tensors["empty"].shape == (0, 4)


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
    ({"a": entry(0, 8, [2], "F8_E4M3")}, 8, "has the type F8_E4M3"),
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
    with pytest.raises(PunaError, match=reason):
        open_tensors(write(tmp_path / "t", header, bytes(size)))


@pytest.mark.parametrize("content", [b"", b"1234567", struct.pack("<Q", 1), struct.pack("<Q", 2**63) + b"{}"])
def test_a_file_shorter_than_its_header_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(PunaError, match="longer than the file"):
        open_tensors(tmp_path / "t")


@given(content=st.binary(max_size=64) | st.binary(max_size=64).map(lambda b: struct.pack("<Q", len(b)) + b))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_give_tensors_or_a_clear_error(tmp_path: Path, content: bytes):
    (tmp_path / "t").write_bytes(content)
    with suppress(PunaError):
        assert open_tensors(tmp_path / "t") == {}
