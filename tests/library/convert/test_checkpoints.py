"""Folders that are not what they should be, progress, and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.errors import BadRequest
from puna.gguf import read_metadata
from puna.library.convert import convert
from tests.library.convert.checkpoints import BASE, decoder, write_checkpoint, write_safetensors
from tests.library.convert.test_families import CASES, make, nothing
from tests.library.convert.tokenizers_made import byte_level

INDEX = "model.safetensors.index.json"
SHARD = "model-00002-of-00002.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Llama in two shards."""
    make(tmp_path / "model", CASES["llama-3.1"], "F16", shards=2)
    return tmp_path / "model"


def config(**changed: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    return apply


def index(**changed: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        value = json.loads((folder / INDEX).read_text())
        value["weight_map"] |= changed
        (folder / INDEX).write_text(json.dumps(value))

    return apply


def weights(change: Callable[[dict[str, np.ndarray]], Any], dtype: str = "F32") -> Callable[[Path], None]:
    """One whole file in place of the shards, its tensors changed."""

    def apply(folder: Path) -> None:
        (folder / INDEX).unlink()
        for shard in folder.glob("*.safetensors"):
            shard.unlink()
        tensors = decoder({**BASE, **CASES["llama-3.1"].config}, tied=True)
        change(tensors)
        write_safetensors(folder / "model.safetensors", tensors, dtype)

    return apply


Q = "model.layers.0.self_attn.q_proj.weight"
WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "cannot read config.json: No such file"),
    "no architecture": (config(architectures=[]), "unknown architecture"),
    "unknown architecture": (
        config(architectures=["FooForCausalLM"]),
        'unsupported architecture "FooForCausalLM"',
    ),
    "no width": (config(hidden_size=None), "config.json has no hidden_size"),
    "width a word": (config(hidden_size="wide"), "config.json: hidden_size is no whole number"),
    "no heads": (config(num_attention_heads=0), "config.json: num_attention_heads is no whole number"),
    "uneven heads": (config(num_attention_heads=5, num_key_value_heads=5), "5 heads do not share evenly"),
    "endless layers": (
        config(num_hidden_layers=10**12),
        "num_hidden_layers is no whole number from 1 to 1000",
    ),
    "too many layers": (config(num_hidden_layers=3), "no .* for layer 2"),
    "too few layers": (config(num_hidden_layers=1), 'layers.1.* that "llama" does not know'),
    "rope": (config(rope_scaling={"rope_type": "spiral"}), 'rope_scaling has the type "spiral"'),
    "rope factors": (config(rope_scaling={"rope_type": "llama3", "factor": 0}), "factors that make no sense"),
    "rope no object": (config(rope_scaling=[1]), "rope_scaling is no object"),
    "infinite": (config(rms_norm_eps=float("inf")), "rms_norm_eps is no number"),
    "too large for F32": (config(rms_norm_eps=9e50), "rms_norm_eps is no number"),
    "too large for any": (config(rms_norm_eps=10**400), "rms_norm_eps is no number"),
    "no shard": (lambda folder: (folder / SHARD).unlink(), f"{SHARD} is missing"),
    "outside": (index(x="../secret.safetensors"), "is no safetensors file"),
    "not in the shard": (index(x=SHARD), f"{SHARD} has no tensor x"),
    "cut shard": (lambda folder: (folder / SHARD).write_bytes(b"12345678910"), f"{SHARD} is damaged"),
    "no weights": (
        weights(lambda tensors: tensors.clear()),
        "no weights for layer 0",
    ),
    "unknown tensor": (weights(lambda tensors: tensors.update(x=np.ones(3))), "a tensor x that"),
    "missing tensor": (weights(lambda tensors: tensors.pop(Q)), "no attn_q.weight for layer 0"),
    "empty tensor": (
        weights(lambda tensors: tensors.update({Q: np.ones((0, 64))})),
        "q_proj.weight is empty",
    ),
    "bytes for numbers": (
        weights(lambda tensors: tensors.update({"model.norm.weight": np.ones(64, np.uint8)})),
        "model.norm.weight has the type U8",
    ),
    "too large for F16": (
        weights(
            lambda tensors: tensors.update({"model.layers.1.mlp.up_proj.weight": np.full((96, 64), 1e6)})
        ),
        "up_proj.weight has weights too large for F16",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_folder_is_said(folder: Path, name: str):
    damage, reason = WRONG[name]
    damage(folder)
    with pytest.raises(BadRequest, match=reason):
        convert(folder, folder / "out.gguf", nothing)


def test_a_folder_without_weights_is_refused(folder: Path):
    for file in folder.glob("model*"):
        file.unlink()
    with pytest.raises(BadRequest, match="no safetensors files"):
        convert(folder, folder / "out.gguf", nothing)


def test_the_makers_own_copy_of_the_weights_is_left_alone(folder: Path):
    (folder / INDEX).unlink()
    (folder / "consolidated.safetensors").write_bytes(b"not looked at")
    convert(folder, folder / "out.gguf", nothing)


def test_an_expert_that_is_missing_is_named(tmp_path: Path):
    reference = make(tmp_path, CASES["qwen3moe"], "F32")
    name = "model.layers.1.mlp.experts.3.up_proj.weight"
    tensors = {key: values for key, values in reference.weights.items() if key != name}
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(BadRequest, match=r"5 of the 6 experts of model\.layers\.1\.mlp\.experts\.up_proj"):
        convert(tmp_path, tmp_path / "out.gguf", nothing)


@pytest.mark.parametrize("said", [True, False])
def test_routing_that_libllama_does_otherwise_is_refused(tmp_path: Path, said: bool):
    make(tmp_path, CASES["qwen2moe" if said else "qwen3moe"], "F32")
    config(norm_topk_prob=said)(tmp_path)
    with pytest.raises(BadRequest, match="norm_topk_prob is"):
        convert(tmp_path, tmp_path / "out.gguf", nothing)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(
    changed=st.dictionaries(
        st.sampled_from(
            [*BASE, "rope_scaling", "head_dim", "num_local_experts", "text_config", "architectures"]
        ),
        JSON,
        min_size=1,
        max_size=2,
    )
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_any_config_gives_a_file_or_a_clear_error(folder: Path, changed: dict[str, Any]):
    before = (folder / "config.json").read_text()
    config(**changed)(folder)
    with suppress(BadRequest):
        convert(folder, folder / "out.gguf", nothing)
        assert read_metadata(folder / "out.gguf").architecture == "llama"
    (folder / "config.json").write_text(before)


def test_progress_counts_to_the_total(folder: Path):
    seen: list[tuple[int, int]] = []
    convert(folder, folder / "out.gguf", lambda done, total: seen.append((done, total)))
    size = sum(int(tensor.n_bytes) for tensor in GGUFReader(folder / "out.gguf").tensors)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (size, size)


def test_an_error_raised_in_progress_stops_the_work(folder: Path):
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        convert(folder, folder / "out.gguf", stop)


def test_memory_stays_below_one_and_a_half_times_the_largest_tensor(tmp_path: Path):
    """The largest is a stack of eight experts of 8 MiB, 64 MiB as F16; they lie in two files as BF16."""
    text = {
        **BASE,
        "architectures": ["Qwen3MoeForCausalLM"],
        "hidden_size": 1024,
        "num_hidden_layers": 1,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 4096,
        "head_dim": 64,
        "intermediate_size": 64,
    }
    large, at = np.zeros((4096, 1024), np.float32), "model.layers.0."
    tensors = {
        "model.embed_tokens.weight": np.zeros((640, 1024), np.float32),
        "model.norm.weight": np.ones(1024, np.float32),
        f"{at}input_layernorm.weight": np.ones(1024, np.float32),
        f"{at}mlp.gate.weight": np.zeros((8, 1024), np.float32),
    }
    for expert in range(8):
        for name in ("gate", "up"):
            tensors[f"{at}mlp.experts.{expert}.{name}_proj.weight"] = large
        tensors[f"{at}mlp.experts.{expert}.down_proj.weight"] = large.reshape(1024, 4096)
    write_checkpoint(tmp_path, text, tensors, "BF16", shards=2)
    byte_level(tmp_path)
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        import puna.library.convert.conversion
        def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        before, folder = most(), Path(sys.argv[1])
        puna.library.convert.convert(folder, folder / "out.gguf", lambda done, total: None)
        print(most() - before)
    """)
    out = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert int(out) < 1.5 * 64 * 2**20
    stack = next(tensor for tensor in GGUFReader(tmp_path / "out.gguf").tensors if "up_exps" in tensor.name)
    assert int(stack.n_bytes) == 64 * 2**20
