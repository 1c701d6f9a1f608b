"""`to_f16`: the same model, its matrices as F16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.errors import LoadFailed, PunaError
from puna.library.f16 import to_f16
from tests.model_parts import finish

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16", "F16", "F32"]


def write(path: Path, *, alignment: int | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """A file with a matrix of each type, vectors, and metadata of each kind; what its tensors are worth."""
    random = np.random.default_rng(7)
    writer = GGUFWriter(path, "llama")
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_string("before", "general.file_type")
    writer.add_file_type(3)
    writer.add_array("words", ["", "▁", "猫", "a b"])
    writer.add_array("numbers", [1, -2, 3])
    writer.add_array("flags", [True, False])
    writer.add_array("shares", [0.5, 0.25])
    writer.add_bool("bool", True)
    writer.add_uint8("u8", 255)
    writer.add_int16("i16", -5)
    writer.add_float64("f64", 1e300)
    writer.add_uint64("u64", 2**60)
    worth: dict[str, np.ndarray[Any, Any]] = {}
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        values = random.standard_normal((5, 96), np.float32)
        packed = quants.quantize(values, kind)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=kind)
        worth[f"{name}.weight"] = quants.dequantize(packed, kind)
        # An odd length, so that what follows needs padding.
        worth[f"{name}.bias"] = random.standard_normal(7, np.float32)
        writer.add_tensor(f"{name}.bias", worth[f"{name}.bias"])
    cube = quants.quantize(random.standard_normal((2, 3, 32), np.float32), GGMLQuantizationType.Q8_0)
    writer.add_tensor("experts", cube, raw_dtype=GGMLQuantizationType.Q8_0)
    worth["experts"] = quants.dequantize(cube, GGMLQuantizationType.Q8_0)
    finish(writer)
    return worth


def write_one(path: Path, values: np.ndarray[Any, Any]) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_tensor("one", values)
    finish(writer)


@pytest.mark.parametrize("alignment", [None, 64, 8])
def test_weights_are_the_source_s_rounded_to_f16(tmp_path: Path, alignment: int | None):
    worth = write(tmp_path / "source", alignment=alignment)
    to_f16(tmp_path / "source", tmp_path / "target", lambda done, total: None)
    tensors = {tensor.name: tensor for tensor in GGUFReader(tmp_path / "target").tensors}
    assert list(tensors) == [tensor.name for tensor in GGUFReader(tmp_path / "source").tensors]
    for name, expected in worth.items():
        kind = GGMLQuantizationType.F32 if expected.ndim == 1 else GGMLQuantizationType.F16
        assert tensors[name].tensor_type == kind, name
        assert np.array_equal(tensors[name].data, expected.astype(tensors[name].data.dtype)), name
        assert tensors[name].data_offset % (alignment or 32) == 0


def test_metadata_is_unchanged_but_for_the_file_type(tmp_path: Path):
    write(tmp_path / "source")
    to_f16(tmp_path / "source", tmp_path / "target", lambda done, total: None)
    source, target = (GGUFReader(tmp_path / name).fields for name in ("source", "target"))
    assert list(source) == list(target)
    for key, field in source.items():
        assert target[key].types == field.types
        assert target[key].contents() == (1 if key == "general.file_type" else field.contents())


def test_progress_ends_at_the_total(tmp_path: Path):
    write(tmp_path / "source")
    seen: list[tuple[int, int]] = []
    to_f16(tmp_path / "source", tmp_path / "target", lambda done, total: seen.append((done, total)))
    weights = sum(int(tensor.n_bytes) for tensor in GGUFReader(tmp_path / "target").tensors)
    assert seen == sorted(seen)
    assert seen[-1] == (weights, weights)


def test_an_error_from_progress_stops_the_work(tmp_path: Path):
    write(tmp_path / "source")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_f16(tmp_path / "source", tmp_path / "target", stop)


def test_weights_beyond_f16_are_refused(tmp_path: Path):
    write_one(tmp_path / "source", np.full((2, 32), 1e6, np.float32))
    with pytest.raises(PunaError, match="'one' has weights too large for F16"):
        to_f16(tmp_path / "source", tmp_path / "target", lambda done, total: None)


def test_a_type_that_cannot_be_converted_is_refused(tmp_path: Path):
    write_one(tmp_path / "source", np.arange(64, dtype=np.int32).reshape(2, 32))
    with pytest.raises(PunaError, match="cannot convert tensor 'one' of type I32"):
        to_f16(tmp_path / "source", tmp_path / "target", lambda done, total: None)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("f16") / "source"
    write(path)
    return path.read_bytes()


@given(share=st.floats(0, 0.99))
@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=30,
)
def test_a_truncated_source_is_refused(source: bytes, tmp_path: Path, share: float):
    (tmp_path / "cut").write_bytes(source[: int(len(source) * share)])
    with pytest.raises(LoadFailed):
        to_f16(tmp_path / "cut", tmp_path / "target", lambda done, total: None)
