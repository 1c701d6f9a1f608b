"""Weights stored in fewer bits while a model is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGMLQuantizationType

from puna.engine import quantize as engine_quantize
from puna.errors import BadRequest
from puna.library import Library, Recipe, create
from puna.types import Progress
from tests.library.create.making import blob, made, unknown
from tests.models import shape_model
from tests.ollama_models import rewritten
from tests.vision_models import vision_model


def test_quantizing_a_model(library: Library, gguf: Path):
    digest, steps = blob(library, gguf), list[Progress]()
    recipe = Recipe(files={"model.gguf": digest}, quantize="Q8_0")
    create(library, "made", recipe, steps.append, engine_quantize, unknown)
    model = library.open("made")
    assert model.metadata.quantization == model.config["file_type"] == "Q8_0"
    assert "Q8_0" in {tensor.type_name for tensor in model.metadata.tensors}
    told = [step.status for step in steps]
    assert told[0] == "parsing GGUF"
    assert set(told[1:-4]) == {"quantizing F32 model to Q8_0"}
    assert told[-4:] == [
        "verifying conversion",
        f"creating new layer {model.layers[0].digest}",
        "writing manifest",
        "success",
    ]
    bar = [step for step in steps if step.total]
    assert bar[-1].completed == bar[-1].total == gguf.stat().st_size
    assert {step.digest for step in bar} == {"0" * 19}

    with pytest.raises(BadRequest, match="quantization is only supported for F16, BF16 and F32 models"):
        made(library, "again", base="made", quantize="Q4_K_M")


@pytest.mark.parametrize("said", [None, 2])
def test_a_float_model_is_quantized_whatever_it_says_it_is(
    library: Library, tmp_path: Path, said: int | None
):
    shape_model(tmp_path / "m.gguf", quantisation=GGMLQuantizationType.F16, file_type=said)
    digest = blob(library, tmp_path / "m.gguf")
    assert made(library, files={"m.gguf": digest}, quantize="Q8_0").config["file_type"] == "Q8_0"
    model = made(library, files={"m.gguf": digest}, quantize="F16")
    assert model.metadata.quantization == model.config["file_type"] == "F16"


def test_a_quantized_model_that_says_it_is_not_is_refused(library: Library, tmp_path: Path):
    shape_model(tmp_path / "m.gguf", quantisation=GGMLQuantizationType.Q8_0, file_type=1)
    with pytest.raises(BadRequest, match="quantization is only supported for F16, BF16 and F32 models"):
        made(library, files={"m.gguf": blob(library, tmp_path / "m.gguf")}, quantize="F16")


def test_a_model_with_its_projector_inside_is_kept_and_not_quantized(library: Library, tmp_path: Path):
    text, sight = vision_model(tmp_path)
    digest = blob(library, rewritten([text, sight], tmp_path / "one.gguf", "gemma3"))
    model = made(library, files={"one.gguf": digest})
    assert [layer.digest for layer in model.layers] == [digest]
    with pytest.raises(
        BadRequest, match=r"one\.gguf: it keeps its projector inside, and libllama quantizes a"
    ):
        made(library, files={"one.gguf": digest}, quantize="Q8_0")


def test_a_model_that_is_of_that_type_already_stays_as_it_is(library: Library, gguf: Path):
    digest = blob(library, gguf)
    model = made(library, files={"model.gguf": digest}, quantize="F32")
    assert model.layers[0].digest == digest
