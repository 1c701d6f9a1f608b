"""What a load is given: its context, its pool and how many sequences at once."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.gguf import Metadata
from puna.options import KVCacheType, Options
from puna.scheduling.facts import Facts
from puna.scheduling.plan import context, footprint, plan, serves, widen
from puna.settings import Settings

GIB = 1 << 30
SETTINGS = Settings()


def facts(context_length: int = 131072, *, embedding: bool = False) -> Facts:
    """An 8B model of the Llama 3 shape: 128 KiB of KV a token."""
    values = {
        "general.architecture": "llama",
        "llama.block_count": 32,
        "llama.embedding_length": 4096,
        "llama.feed_forward_length": 14336,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.vocab_size": 128256,
        "llama.context_length": context_length,
    }
    return Facts("/m", 4 * GIB, Metadata(values=values, tensors=[], parameter_count=0), embedding)


@pytest.mark.parametrize(
    ("asked", "setting", "trained", "gets"),
    [
        (0, 0, 131072, 4096),
        (0, 8192, 131072, 8192),
        (2048, 8192, 131072, 2048),
        (200_000, 0, 131072, 131072),
        (0, 0, 512, 512),
        (1, 0, 131072, 4),
        (-5, 0, 131072, 4),
        (50_000, 0, 0, 50_000),
    ],
)
def test_the_context(asked: int, setting: int, trained: int, gets: int):
    settings = replace(SETTINGS, context_length=setting)
    assert context(facts(trained), Options(num_ctx=asked), settings) == gets


@pytest.mark.parametrize(
    ("free", "trained", "gets"),
    [
        (0, 131072, 4096),
        (8 * GIB, 131072, 4096),
        (22 * GIB, 131072, 4096),
        (23 * GIB, 131072, 16384),  # a quarter has room for 47,104 tokens: twice 16,384
        (40 * GIB, 131072, 32768),
        (46 * GIB, 131072, 32768),
        (47 * GIB, 131072, 32768),
        (64 * GIB, 131072, 65536),
        (256 * GIB, 131072, 131072),
        (512 * GIB, 1 << 20, 262144),
        (512 * GIB, 0, 262144),
        (64 * GIB, 40960, 40960),
        (64 * GIB, 50000, 50000),
        (64 * GIB, 2048, 2048),
    ],
)
def test_a_context_that_nobody_asked_for_grows_with_the_memory(free: int, trained: int, gets: int):
    spec = plan(facts(trained), Options(), SETTINGS, free)
    assert spec.num_ctx == gets
    if gets > 4096:
        needs = footprint(facts(trained), spec)
        assert needs.total(spec.pool) <= free
        assert needs.kv_per_token * spec.pool + spec.cache <= free // 4
    assert serves(spec, facts(trained), Options(), SETTINGS)


@pytest.mark.parametrize("free", [64 * GIB, 512 * GIB])
def test_a_context_that_is_asked_for_does_not_grow(free: int):
    assert plan(facts(), Options(num_ctx=4096), SETTINGS, free).num_ctx == 4096
    assert plan(facts(), Options(num_ctx=2048), SETTINGS, free).num_ctx == 2048
    assert plan(facts(), Options(), replace(SETTINGS, context_length=4096), free).num_ctx == 4096
    assert plan(facts(512, embedding=True), Options(), SETTINGS, free).num_ctx == 512


def test_a_model_that_was_loaded_with_less_serves_those_who_ask_for_nothing():
    small = plan(facts(), Options(), SETTINGS, 6 * GIB)
    assert serves(small, facts(), Options(), SETTINGS)


def test_a_roomy_machine_gets_kv_for_four_contexts():
    spec = plan(facts(), Options(num_ctx=4096), SETTINGS, 64 * GIB)
    assert (spec.num_ctx, spec.pool, spec.parallel) == (4096, 8192, 16)
    assert spec.cache == 8192 * 128 * 1024


def test_the_kv_takes_at_most_a_quarter_of_the_memory():
    spec = plan(facts(), Options(), SETTINGS, 6 * GIB)
    assert 4096 < spec.pool < 8192
    assert spec.cache > 0
    assert spec.pool * 128 * 1024 + spec.cache <= 6 * GIB // 4


def test_the_pool_shrinks_to_one_context_before_a_model_is_refused():
    assert plan(facts(), Options(), SETTINGS, int(4.8 * GIB)).pool == 4096
    assert plan(facts(), Options(), SETTINGS, 0).pool == 4096
    assert plan(facts(), Options(), SETTINGS, -GIB).pool == 4096


@pytest.mark.parametrize(("kind", "part"), [("q8_0", 17 / 32), ("q4_0", 9 / 32), ("f32", 2.0)])
def test_the_kv_cache_is_planned_in_its_type(kind: KVCacheType, part: float):
    """A smaller type leaves room for more of it, within the same quarter of the memory."""
    asked = Options(num_ctx=4096)
    fine = plan(facts(), asked, SETTINGS, 64 * GIB)
    spec = plan(facts(), Options(num_ctx=4096, kv_cache_type=kind), SETTINGS, 64 * GIB)
    assert (spec.pool, spec.cache) == (fine.pool, int(fine.cache * part))
    assert plan(facts(), asked, replace(SETTINGS, kv_cache_type=kind), 64 * GIB) == spec


def test_one_sequence_at_a_time_needs_one_context():
    spec = plan(facts(), Options(num_ctx=4096), replace(SETTINGS, num_parallel=1), 64 * GIB)
    assert (spec.pool, spec.parallel) == (4096, 1)
    assert spec.cache == 3 * 4096 * 128 * 1024
    assert plan(facts(), Options(), replace(SETTINGS, num_parallel=3), 64 * GIB).parallel == 3


def test_an_embedder_needs_one_context():
    spec = plan(facts(512, embedding=True), Options(), SETTINGS, 64 * GIB)
    assert (spec.embedding, spec.pool) == (True, 512)


def test_options_that_shape_a_load_are_passed_on():
    options = Options(num_batch=64, num_thread=3, num_gpu=0, use_mmap=False)
    spec = plan(facts(), options, SETTINGS, 64 * GIB)
    assert (spec.num_batch, spec.num_thread, spec.num_gpu, spec.use_mmap) == (64, 3, 0, False)


@pytest.mark.parametrize(
    ("loaded", "asked", "served"),
    [
        (Options(num_ctx=8192), Options(), True),
        (Options(num_ctx=8192), Options(num_ctx=100), True),
        (Options(num_ctx=4096), Options(num_ctx=4097), False),
        (Options(num_ctx=200_000), Options(num_ctx=300_000), True),  # both are capped at the trained context
        (Options(), Options(num_batch=513), False),
        (Options(), Options(num_batch=511), True),
        (Options(num_thread=2), Options(), True),
        (Options(), Options(num_thread=2), False),
        (Options(num_gpu=0), Options(num_gpu=-1), True),
        (Options(), Options(num_gpu=0), False),
        (Options(), Options(use_mmap=True), True),
        (Options(), Options(use_mmap=False), False),
        (Options(use_mmap=False), Options(), True),
        (Options(kv_cache_type="q8_0"), Options(), True),
        (Options(kv_cache_type="q8_0"), Options(kv_cache_type="f16"), False),
        (Options(), Options(kv_cache_type="f16"), True),
        (Options(), Options(temperature=2.0, stop=("x",)), True),
    ],
)
def test_only_a_request_for_more_needs_a_reload(loaded: Options, asked: Options, served: bool):
    spec = plan(facts(), loaded, SETTINGS, 64 * GIB)
    assert serves(spec, facts(), asked, SETTINGS) is served


OPTIONS = st.builds(
    Options,
    num_ctx=st.integers(-10, 300_000),
    num_batch=st.integers(-1, 4096),
    num_gpu=st.integers(-2, 99),
    num_thread=st.integers(-1, 64),
    use_mmap=st.sampled_from([None, True, False]),
    kv_cache_type=st.sampled_from([None, *get_args(KVCacheType)]),
)
MODELS = st.builds(facts, st.sampled_from([0, 3, 512, 131072]), embedding=st.booleans())
CONDITIONS = st.builds(
    Settings,
    context_length=st.integers(0, 200_000),
    num_parallel=st.integers(0, 40),
    kv_cache_type=st.sampled_from(get_args(KVCacheType)),
    flash_attention=st.sampled_from([None, True, False]),
)
ROOM = st.integers(-GIB, 256 * GIB)


@settings(deadline=None)
@given(MODELS, OPTIONS, CONDITIONS, ROOM)
def test_a_plan_serves_whoever_it_was_made_for(
    model: Facts, options: Options, conditions: Settings, room: int
):
    spec = plan(model, options, conditions, room)
    assert serves(spec, model, options, conditions)
    assert spec.num_ctx <= spec.pool <= 4 * spec.num_ctx
    assert 1 <= spec.parallel <= 16
    if spec.pool > spec.num_ctx or spec.cache > 64 << 20:
        assert footprint(model, spec).total(spec.pool) <= room


@settings(deadline=None)
@given(MODELS, OPTIONS, OPTIONS, CONDITIONS, ROOM)
def test_a_reload_takes_nothing_away(
    model: Facts, first: Options, second: Options, conditions: Settings, room: int
):
    loaded = plan(model, first, conditions, room)
    again = plan(model, widen(second, model, conditions, loaded), conditions, room)
    assert serves(again, model, second, conditions)
    assert again.num_ctx >= loaded.num_ctx
    assert again.num_batch >= loaded.num_batch
