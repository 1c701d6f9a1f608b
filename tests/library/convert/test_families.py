"""Every family: a random model gives the reference's logits after its conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, LlamaFileType, quants

from puna.library.convert import convert
from tests.library.convert.families import CASES, make
from tests.library.convert.reference import Decoder
from tests.library.libllama import loaded


def tokens(count: int = 32) -> list[int]:
    return np.random.default_rng(7).integers(3, 480, count).tolist()


def nothing(done: int, total: int) -> None:
    pass


def off(path: Path, reference: Decoder) -> float:
    """The largest error, relative to the largest logit."""
    expected = reference.logits(tokens())
    assert reference.margin > 0.04, "a rounding error may choose another expert"
    with loaded(path, exact=True) as model:
        return float(np.abs(model.logits(tokens()) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["F32", "F16"])
@pytest.mark.parametrize("name", CASES)
def test_a_random_model_gives_the_reference_s_logits(tmp_path: Path, name: str, dtype: str):
    reference = make(tmp_path / "model", CASES[name], dtype, shards=2 if dtype == "F16" else 1)
    convert(tmp_path / "model", tmp_path / "model.gguf", nothing)
    assert off(tmp_path / "model.gguf", reference) <= CASES[name].tolerance


def test_bf16_weights_stay_what_they_are(tmp_path: Path):
    reference = make(tmp_path / "model", CASES["qwen3"], "BF16")
    convert(tmp_path / "model", tmp_path / "model.gguf", nothing)
    reader = GGUFReader(tmp_path / "model.gguf")
    field = reader.get_field("general.file_type")
    assert field is not None
    assert field.contents() == LlamaFileType.MOSTLY_BF16
    stored = tensor(reader, "blk.1.ffn_down.weight")
    assert np.array_equal(stored, reference.weights["model.layers.1.mlp.down_proj.weight"])
    # libllama rounds what it multiplies with BF16 to BF16.
    assert off(tmp_path / "model.gguf", reference) <= 2e-2


def test_mxfp4_weights_stay_what_they_are(tmp_path: Path):
    reference = make(tmp_path / "model", CASES["gptoss"], "BF16")
    convert(tmp_path / "model", tmp_path / "model.gguf", nothing)
    reader = GGUFReader(tmp_path / "model.gguf")
    gate, up, down = (tensor(reader, f"blk.1.ffn_{name}_exps.weight") for name in ("gate", "up", "down"))
    for expert in range(4):
        both = reference.oss_matrix("model.layers.1.mlp.experts.gate_up_proj", expert).T
        assert np.array_equal(gate[expert], both[::2])
        assert np.array_equal(up[expert], both[1::2])
        assert np.array_equal(
            down[expert], reference.oss_matrix("model.layers.1.mlp.experts.down_proj", expert).T
        )


def tensor(reader: GGUFReader, name: str) -> Any:
    found = next(tensor for tensor in reader.tensors if tensor.name == name)
    return quants.dequantize(found.data, found.tensor_type)
