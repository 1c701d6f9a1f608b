"""Models made from safetensors, alone and beside GGUF files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puna.errors import BadRequest
from puna.gguf import read_metadata
from puna.library import Library
from tests.library.convert.checkpoints import BASE, WIDTH, decoder, write_checkpoint, write_safetensors
from tests.library.convert.tokenizers_made import byte_level
from tests.library.create.making import adapter, blob, kinds, made, small_gguf

Q = "base_model.model.model.layers.0.self_attn.q_proj.lora_"


@pytest.fixture
def checkpoint(library: Library, tmp_path: Path) -> dict[str, str]:
    """The files of a small Llama."""
    config: dict[str, Any] = {**BASE, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    folder = write_checkpoint(tmp_path / "checkpoint", config, decoder(config), "F16", shards=2)
    byte_level(folder)
    return {path.name: blob(library, path) for path in folder.iterdir()}


def peft(library: Library, folder: Path, alpha: int) -> dict[str, str]:
    """The files of an adapter below `folder`'s name."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"lora_alpha": alpha}))
    halves = {f"{Q}A.weight": np.ones((4, WIDTH), "f4"), f"{Q}B.weight": np.ones((WIDTH, 4), "f4")}
    write_safetensors(folder / "adapter_model.safetensors", halves)
    return {f"{folder.name}/{path.name}": blob(library, path) for path in folder.iterdir()}


def test_a_projector_beside_safetensors_is_kept(
    library: Library, checkpoint: dict[str, str], tmp_path: Path
) -> None:
    path = small_gguf(tmp_path / "mmproj.gguf", "clip", clip__has_vision_encoder=True)
    projector = blob(library, path)
    alone = made(library, files=checkpoint)
    for files in (checkpoint, {f"folder/{name}": digest for name, digest in checkpoint.items()}):
        model = made(library, files={**files, "mmproj.gguf": projector})
        assert kinds(model) == ["model", "projector"]
        assert model.layers[0].digest == alone.layers[0].digest
        assert model.layers[1].digest == projector


def test_a_second_model_beside_safetensors_is_refused(
    library: Library, checkpoint: dict[str, str], gguf: Path
) -> None:
    with pytest.raises(BadRequest, match=r"more than one model: the safetensors, m\.gguf"):
        made(library, files={**checkpoint, "m.gguf": blob(library, gguf)})


def test_several_adapters_are_converted_each_with_its_own_configuration(
    library: Library, checkpoint: dict[str, str], tmp_path: Path
) -> None:
    made(library, "base", files=checkpoint)
    lora = blob(library, adapter(tmp_path / "lora.gguf"))
    files = {**peft(library, tmp_path / "one", 4), **peft(library, tmp_path / "two", 8), "lora.gguf": lora}
    model = made(library, base="base", adapters=files)
    assert kinds(model) == ["model", "adapter", "adapter", "adapter"]
    alphas = [read_metadata(path).get("adapter.lora.alpha") for path in model.adapters]
    assert alphas == [4.0, 8.0, None]
