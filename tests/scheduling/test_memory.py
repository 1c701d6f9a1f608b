"""The estimates of memory, beside what libllama reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.gguf import Metadata
from puna.library import Model
from puna.scheduling import estimate, memory
from puna.scheduling.memory import Budget, free_memory, human_size

MIB = 1 << 20
EMPTY = Metadata(values={"general.architecture": "llama"}, tensors=[], parameter_count=0)


def described(**arch: Any) -> Metadata:
    values = {
        "general.architecture": "llama",
        **{f"llama.{k.replace('__', '.')}": v for k, v in arch.items()},
    }
    return Metadata(values=values, tensors=[], parameter_count=0)


SMOLLM2_135M = described(
    block_count=30,
    embedding_length=576,
    feed_forward_length=1536,
    attention__head_count=9,
    attention__head_count_kv=3,
    vocab_size=49152,
)


def test_the_numbers_of_smollm2_are_those_that_libllama_reports():
    found = estimate(SMOLLM2_135M, 257 * MIB, 4096, states=16)
    bare = estimate(EMPTY, 0, 0)
    assert found.kv_per_token * 4096 == 90 * MIB
    assert found.compute - bare.compute == pytest.approx(98.25 * MIB, rel=0.01)
    assert found.total(4096) == 257 * MIB + 90 * MIB + found.compute
    smaller_batch = estimate(SMOLLM2_135M, 0, 4096, num_batch=128)
    assert smaller_batch.compute - bare.compute == pytest.approx(24.56 * MIB, rel=0.01)


@pytest.mark.parametrize(
    ("shape", "cells", "kv", "compute"),
    [
        # What libllama reports with flash attention: an attention mask as wide as the pool, and activations.
        ({"feed_forward_length": 128}, 4096, 1, 5.01),
        ({"feed_forward_length": 128}, 16384, 4, 17.01),
        ({"feed_forward_length": 128, "attention__sliding_window": 32}, 4096, 1, 8.65),
        ({"feed_forward_length": 128, "attention__sliding_window": 32}, 16384, 4, 32.65),
    ],
)
def test_a_wide_pool_costs_work_memory_too(shape: dict[str, int], cells: int, kv: float, compute: float):
    metadata = described(
        block_count=2,
        embedding_length=64,
        attention__head_count=2,
        attention__head_count_kv=1,
        vocab_size=512,
        **shape,
    )
    found = estimate(metadata, 0, cells)
    assert found.kv_per_token * cells == kv * MIB
    assert found.compute - estimate(EMPTY, 0, 0).compute == pytest.approx(compute * MIB, rel=0.08)


def test_layers_may_differ_and_keys_need_not_be_as_long_as_values():
    metadata = described(
        block_count=4,
        embedding_length=64,
        attention__head_count=4,
        attention__head_count_kv=[0, 2, 0, 1],
        attention__key_length=24,
        attention__value_length=16,
    )
    assert estimate(metadata, 0, 1).kv_per_token == (2 + 1) * (24 + 16) * 2


def test_heads_are_query_heads_where_a_file_names_no_others():
    metadata = described(block_count=1, embedding_length=64, attention__head_count=4)
    assert estimate(metadata, 0, 1).kv_per_token == 4 * (16 + 16) * 2


def test_a_recurrent_model_pays_for_each_sequence_and_not_for_tokens():
    metadata = described(
        block_count=2, attention__head_count=0, ssm__inner_size=128, ssm__state_size=16, ssm__conv_kernel=4
    )
    one, many = estimate(metadata, 0, 4096, states=1), estimate(metadata, 0, 4096, states=17)
    assert one.kv_per_token == 0
    # libllama's recurrent memory for 16 sequences of this model: 0.30 MiB.
    assert many.compute - one.compute == pytest.approx(0.30 * MIB, rel=0.02)


def test_layers_that_do_not_attend_have_no_keys_and_layers_that_feed_forward_no_state():
    ssm = {"ssm__inner_size": 128, "ssm__state_size": 16, "ssm__conv_kernel": 4}
    shape = {"embedding_length": 64, "attention__head_count": 2, "attention__head_count_kv": 1} | ssm
    # Qwen 3.5: of six layers every third attends, and so does the MTP layer behind them.
    often = described(block_count=7, full_attention_interval=3, nextn_predict_layers=1, **shape)
    assert estimate(often, 0, 1).kv_per_token == 3 * 2 * 32 * 2
    assert estimate(often, 0, 1).state == 4 * 4 * (3 * 128 + 128 * 16)
    # Nemotron-H: a layer is one of three kinds.
    layers = {"attention__head_count_kv": [0, 0, 1, 0], "feed_forward_length": [0, 128, 0, 0]}
    apart = described(block_count=4, **shape | layers)
    assert estimate(apart, 0, 1).kv_per_token == 2 * 32 * 2
    assert estimate(apart, 0, 1).state == 2 * 4 * (3 * 128 + 128 * 16)
    # LFM2: its convolutions see the last tokens.
    short = described(
        block_count=2,
        embedding_length=64,
        shortconv__l_cache=3,
        attention__head_count=2,
        attention__head_count_kv=[0, 1],
    )
    assert estimate(short, 0, 1).state == 2 * 64 * 4


def test_an_encoder_has_no_cache(models: dict[str, Model]):
    assert estimate(models["embedder"].metadata, 0, 512).kv_per_token == 0


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers() | st.text())
)
_KEYS = [
    "block_count",
    "embedding_length",
    "feed_forward_length",
    "vocab_size",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.causal",
    "attention.sliding_window",
    "ssm.conv_kernel",
    "ssm.inner_size",
]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([f"llama.{k}" for k in _KEYS] + ["tokenizer.ggml.tokens"]), _VALUES))
def test_whatever_a_file_claims_gives_an_estimate(claims: dict[str, Any]):
    metadata = Metadata(values={"general.architecture": "llama", **claims}, tensors=[], parameter_count=0)
    found = estimate(metadata, 5, 4096)
    assert found.total(4096) >= 5


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (5 << 30, "5.0 GiB"),
        (int(3.14 * (1 << 30)), "3.1 GiB"),
        (1 << 20, "1.0 MiB"),
        (1536, "1.5 KiB"),
        (7, "7 B"),
        (-1, "0 B"),
    ],
)
def test_sizes_are_written_as_ollama_writes_them(size: int, text: str):
    assert human_size(size) == text


def test_a_fixed_budget_is_what_is_left_of_it():
    assert Budget(100, lambda: 10**9).room(used=70, loading=30) == (30, 100)


def test_what_the_machine_has_free_is_the_budget():
    free = [100]
    budget = Budget(0, lambda: free[0])
    assert budget.room(used=0, loading=0) == (100, 100)
    # Mapped weights do not lower what the system calls free, and yet they are held.
    assert budget.room(used=60, loading=0) == (40, 100)
    # A load that has not touched its memory yet.
    assert budget.room(used=30, loading=30) == (70, 100)
    # Another program took some, then gave back more than there was.
    free[0] = 20
    assert budget.room(used=60, loading=0) == (20, 100)
    free[0] = 150
    assert budget.room(used=60, loading=0) == (90, 150)
    free[0] = 50
    assert budget.room(used=0, loading=0) == (50, 50)


def test_a_container_may_have_less_than_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    machine = free_memory()
    assert machine > 0
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 100000\nactive_file 9\n")
    assert free_memory() == 400_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() > 1_000_000
