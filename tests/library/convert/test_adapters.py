"""LoRA adapters: laid over the converted model they change it as merging them into the checkpoint would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puna.errors import BadRequest
from puna.gguf import read_metadata
from puna.library.convert import convert, convert_adapter
from tests.library.convert.checkpoints import LAYERS, WIDTH, Weights, write_safetensors
from tests.library.convert.reference import Decoder
from tests.library.convert.test_families import CASES, make, nothing, tokens
from tests.library.libllama import loaded

RANK = 4
MODULES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.o_proj", "mlp.down_proj")
FUSED = ("self_attn.qkv_proj", "mlp.gate_up_proj")
PEFT: dict[str, Any] = {"peft_type": "LORA", "r": RANK, "lora_alpha": 6}

Halves = dict[str, tuple[np.ndarray, np.ndarray]]


def halves(reference: Decoder, modules: tuple[str, ...] = MODULES) -> Halves:
    """Random A and B for modules of every layer."""
    random = np.random.default_rng(9)
    found: Halves = {}
    for layer in range(LAYERS):
        for module in modules:
            name = f"model.layers.{layer}.{module}"
            rows, columns = reference.weights[f"{name}.weight"].shape
            a, b = random.standard_normal((RANK, columns)), random.standard_normal((rows, RANK))
            found[name] = (a.astype(np.float32) * columns**-0.5, b.astype(np.float32) * 0.5)
    return found


def write_peft(folder: Path, pairs: Halves, **config: Any) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(PEFT | config))
    tensors: Weights = {}
    for name, (a, b) in pairs.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = a
        tensors[f"base_model.model.{name}.lora_B.weight"] = b
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder


def off(tmp_path: Path, reference: Decoder, pairs: Halves, scales: dict[str, float] | float) -> float:
    """The largest error of the model with the adapter, against the reference with it merged."""
    before = reference.logits(tokens())
    for name, (a, b) in pairs.items():
        scale = scales[name] if isinstance(scales, dict) else scales
        reference.weights[f"{name}.weight"] += scale * b.astype(float) @ a
    expected = reference.logits(tokens())
    assert np.abs(expected - before).max() > 0.1 * np.abs(expected).max()
    with loaded(tmp_path / "base.gguf", exact=True, adapter=tmp_path / "adapter.gguf") as model:
        return float(np.abs(model.logits(tokens()) - expected).max() / np.abs(expected).max())


def based(tmp_path: Path, name: str) -> Decoder:
    reference = make(tmp_path / "base", CASES[name], "F16")
    convert(tmp_path / "base", tmp_path / "base.gguf", nothing)
    return reference


def adapted(tmp_path: Path, folder: Path) -> None:
    convert_adapter(folder, tmp_path / "adapter.gguf", read_metadata(tmp_path / "base.gguf"), nothing)


@pytest.mark.parametrize(
    ("name", "modules"),
    [("llama", MODULES), ("qwen3", MODULES), ("gemma2", MODULES), ("phi3", FUSED)],
)
def test_a_peft_adapter_does_what_merging_it_does(tmp_path: Path, name: str, modules: tuple[str, ...]):
    reference = based(tmp_path, name)
    pairs = halves(reference, modules)
    adapted(tmp_path, write_peft(tmp_path / "peft", pairs))
    assert off(tmp_path, reference, pairs, 6 / RANK) <= 2e-3


def test_a_rank_stabilised_adapter_is_scaled_by_the_root_of_its_rank(tmp_path: Path):
    reference = based(tmp_path, "qwen3")
    pairs = halves(reference)
    adapted(tmp_path, write_peft(tmp_path / "peft", pairs, use_rslora=True, lora_alpha=3))
    assert off(tmp_path, reference, pairs, 3 / RANK**0.5) <= 2e-3


@pytest.mark.parametrize("stabilised", [False, True])
def test_modules_may_have_ranks_of_their_own(tmp_path: Path, stabilised: bool):
    reference = based(tmp_path, "qwen3")
    pairs = {
        name: (a[:2], b[:, :2]) if "down" in name else (a, b) for name, (a, b) in halves(reference).items()
    }
    adapted(tmp_path, write_peft(tmp_path / "peft", pairs, use_rslora=stabilised))
    scales = {name: 6 / len(a) ** (0.5 if stabilised else 1) for name, (a, _) in pairs.items()}
    assert off(tmp_path, reference, pairs, scales) <= 2e-3


def test_modules_may_have_an_alpha_of_their_own(tmp_path: Path):
    reference = based(tmp_path, "llama")
    pairs = halves(reference)
    adapted(tmp_path, write_peft(tmp_path / "peft", pairs, alpha_pattern={"q_proj": 12}))
    scales = {name: (12 if name.endswith("q_proj") else 6) / RANK for name in pairs}
    assert off(tmp_path, reference, pairs, scales) <= 2e-3


def test_an_mlx_adapter_multiplies_from_the_left(tmp_path: Path):
    reference = based(tmp_path, "llama")
    pairs = halves(reference)
    folder = tmp_path / "mlx"
    folder.mkdir()
    config = {"lora_parameters": {"rank": RANK, "scale": 1.5, "dropout": 0.0}}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    tensors: Weights = {}
    for name, (a, b) in pairs.items():
        tensors |= {f"{name}.lora_a": np.ascontiguousarray(a.T), f"{name}.lora_b": np.ascontiguousarray(b.T)}
    write_safetensors(folder / "adapters.safetensors", tensors)
    adapted(tmp_path, folder)
    assert off(tmp_path, reference, pairs, 1.5) <= 2e-3


def test_what_the_file_says_of_itself(tmp_path: Path):
    adapted(tmp_path, write_peft(tmp_path / "peft", halves(based(tmp_path, "llama"))))
    metadata = read_metadata(tmp_path / "adapter.gguf")
    assert metadata.architecture == "llama"
    assert metadata.get("general.type") == "adapter"
    assert metadata.get("adapter.type") == "lora"
    assert metadata.get("adapter.lora.alpha") == 6.0
    assert {tensor.type_name for tensor in metadata.tensors} == {"F32"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    based(folder, "llama")
    return folder / "base.gguf"


SMALL = np.ones((RANK, WIDTH), np.float32), np.ones((WIDTH, RANK), np.float32)
Q = "model.layers.0.self_attn.q_proj"
WRONG: dict[str, tuple[Halves, dict[str, Any], str]] = {
    "another model's": ({Q: (SMALL[0][:, :32], SMALL[1])}, {}, "the adapter does not fit the model"),
    "too many layers": ({Q.replace("0", "7"): SMALL}, {}, 'q_proj.weight that "llama" does not know'),
    "ranks": ({Q: (SMALL[0], SMALL[1][:, :2])}, {}, "do not fit each other"),
    "empty": ({}, {}, "has no tensors"),
    "dora": ({Q: SMALL}, {"use_dora": True}, "use_dora cannot be converted"),
    "alpha": ({Q: SMALL}, {"lora_alpha": "x"}, "adapter_config.json: lora_alpha is no number"),
    "pattern": ({Q: SMALL}, {"alpha_pattern": {r".*\.layers\.0\..*": 8}}, "which cannot be converted"),
    "own alpha": ({Q: SMALL}, {"alpha_pattern": {"q_proj": "x"}}, "adapter_config.json: q_proj is no number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_adapter_that_does_not_fit_is_refused(base: Path, tmp_path: Path, name: str):
    pairs, config, reason = WRONG[name]
    folder = write_peft(tmp_path / "peft", pairs, **config)
    with pytest.raises(BadRequest, match=reason):
        convert_adapter(folder, tmp_path / "out", read_metadata(base), nothing)


def test_other_tensors_are_refused(base: Path, tmp_path: Path):
    folder = write_peft(tmp_path / "peft", {})
    tensors = {"base_model.model.model.embed_tokens.weight": np.ones((4, 4), np.float32)}
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    with pytest.raises(BadRequest, match=r"embed_tokens\.weight is no part of a LoRA adapter"):
        convert_adapter(folder, tmp_path / "out", read_metadata(base), nothing)


def test_a_folder_without_weights_or_without_their_scale_is_refused(base: Path, tmp_path: Path):
    folder = write_peft(tmp_path / "peft", {Q: SMALL})
    (folder / "adapter_config.json").rename(tmp_path / "adapter_config.json")
    for lacking, name in (
        (tmp_path, r"no adapter_model\.safetensors"),
        (folder, r"adapter_config\.json is missing"),
    ):
        with pytest.raises(BadRequest, match=name):
            convert_adapter(lacking, tmp_path / "out", read_metadata(base), nothing)
