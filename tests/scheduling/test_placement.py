"""Placement over invented machines, against brute force on small ones, and of the shapes of real models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.scheduling.placement import (
    LayerSizes,
    Load,
    Machine,
    Memory,
    Placement,
    divide,
    on_host,
    pin_experts,
    place,
    placement_of,
    spread,
)
from puna.scheduling.tensors import load_of

G = 1 << 30


SOME, ALIKE = st.integers(0, 90), st.sampled_from([0, 50])
"""Bytes of a layer's experts."""


def loads(
    most: int, experts: st.SearchStrategy[int] = SOME, *, pinned: bool = True
) -> st.SearchStrategy[Load]:
    small, kept = st.integers(0, 60), st.sampled_from([0, 0, 0, 9] if pinned else [0])
    layers = st.lists(st.builds(LayerSizes, small, experts, small, kept), min_size=1, max_size=most)
    used = st.sampled_from([1.0, 0.5, 0.05])
    host, work = st.integers(0, 50), st.integers(0, 20)
    return st.builds(Load, layers.map(tuple), host=host, work=work, used=used)


def machines(most: int) -> st.SearchStrategy[Machine]:
    device = st.builds(
        Memory,
        st.just("GPU"),
        st.integers(0, 400),
        st.sampled_from([4e11, 9e11, 6e10]),
        st.sampled_from([False, False, True]),
    )
    return st.builds(Machine, st.integers(0, 900), st.lists(device, max_size=most).map(tuple))


def splits(count: int, devices: int) -> Iterator[tuple[int, ...]]:
    """All ways to have at most `count` layers on devices."""
    return (way for way in product(range(count + 1), repeat=devices) if sum(way) <= count)


def subsets(values: list[int]) -> Iterator[tuple[int, ...]]:
    return (chosen for size in range(len(values) + 1) for chosen in combinations(values, size))


def tried(load: Load, machine: Machine, *, any_experts: bool) -> Iterator[Placement]:
    """Every placement there is; of experts on the host any, or only the first ones of each device."""
    count = len(load.layers)
    for split in splits(count, len(machine.devices)):
        at = count - sum(split)
        choices: list[list[tuple[int, ...]]] = []
        for size in split:
            expert = [i for i in range(at, at + size) if load.layers[i].experts]
            firsts = [tuple(expert[:some]) for some in range(len(expert) + 1)]
            choices.append(list(subsets(expert)) if any_experts else firsts)
            at += size
        for chosen in product(*choices):
            yield placement_of(load, machine, split, [i for part in chosen for i in part])


def best(load: Load, machine: Machine, *, any_experts: bool) -> Placement | None:
    fitting = [way for way in tried(load, machine, any_experts=any_experts) if way.fits(machine)]
    return min(fitting, key=lambda way: way.seconds, default=None)


@settings(max_examples=150, deadline=None)
@given(loads(4), machines(3))
def test_no_placement_beats_it(load: Load, machine: Machine):
    found, reference = place(load, machine), best(load, machine, any_experts=False)
    assert (found is None) == (reference is None)
    if found and reference:
        assert found.fits(machine)
        assert found.seconds <= reference.seconds * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(loads(4, ALIKE, pinned=False), machines(2))
def test_where_experts_are_alike_no_choice_of_them_beats_it(load: Load, machine: Machine):
    found, reference = place(load, machine), best(load, machine, any_experts=True)
    assert (found is None) == (reference is None)
    if found and reference:
        assert found.seconds <= reference.seconds * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(loads(40), machines(8))
def test_it_is_never_over_any_memory(load: Load, machine: Machine):
    found = place(load, machine)
    if found is None:
        assert not on_host(load, machine).fits(machine)
        return
    assert found.fits(machine)
    shared = sum(size for size, device in zip(found.devices, machine.devices, strict=True) if device.shared)
    held = found.host + sum(found.devices)
    used = sum(size > 0 for size in found.split)
    assert held == load.host + sum(layer.total for layer in load.layers) + used * load.work
    assert found.host + shared <= machine.host


@settings(max_examples=150, deadline=None)
@given(loads(12), machines(4), st.data())
def test_more_memory_never_makes_it_slower(load: Load, machine: Machine, data: st.DataObject):
    before = place(load, machine)
    more = data.draw(st.integers(0, 200))
    which = data.draw(st.integers(-1, len(machine.devices) - 1))
    if which < 0:
        after = place(load, replace(machine, host=machine.host + more))
    else:
        devices = list(machine.devices)
        devices[which] = replace(devices[which], free=devices[which].free + more)
        after = place(load, replace(machine, devices=tuple(devices)))
    if before:
        assert after
        assert after.seconds <= before.seconds * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(loads(12), machines(4), st.integers(0, 14))
def test_a_number_of_layers_is_kept_to(load: Load, machine: Machine, wanted: int):
    found = place(load, machine, wanted)
    if found and machine.devices:
        assert found.layers == min(wanted, len(load.layers))


@settings(max_examples=100, deadline=None)
@given(loads(40), machines(8), st.integers(0, 50))
def test_a_division_is_libllamas(load: Load, machine: Machine, wanted: int):
    shares = [device.free for device in machine.devices]
    found = divide(load, machine, shares, wanted)
    count, total = min(wanted, len(load.layers)), sum(shares)
    expected = [0] * len(shares)
    for layer in range(count if total else 0):  # llama-model.cpp, get_layer_buft_list
        ends = [sum(shares[: i + 1]) / total for i in range(len(shares))]
        expected[next(i for i, end in enumerate(ends) if end > layer / count)] += 1
    assert list(found.split) == expected


# Real shapes


@dataclass(frozen=True)
class Tensor:
    name: str
    size: int


@dataclass
class Header:
    values: dict[str, Any]

    def arch(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    get = arch


@dataclass(frozen=True)
class Shape:
    """Bits a weight, and the published sizes."""

    blocks: int
    width: int
    inner: int
    kv: int
    vocabulary: int
    bits: float = 4.8
    experts: int = 0
    used: int = 0
    dense: int = 0
    """Leading blocks without experts."""

    def load(self, tokens: int) -> Load:
        size = lambda *shape: int(self.bits / 8 * shape[0] * shape[1] * (shape[2] if len(shape) > 2 else 1))  # noqa: E731
        tensors = [Tensor("token_embd.weight", size(self.width, self.vocabulary))]
        tensors += [
            Tensor("output.weight", size(self.width, self.vocabulary)),
            Tensor("output_norm.weight", 4),
        ]
        for i in range(self.blocks):
            attention = size(self.width, 2 * self.width + 2 * self.kv)
            tensors.append(Tensor(f"blk.{i}.attn_q.weight", attention))
            routed = self.experts and i >= self.dense
            for part in ("up", "gate", "down"):
                name = f"blk.{i}.ffn_{part}{'_exps' if routed else ''}.weight"
                tensors.append(Tensor(name, size(self.width, self.inner, self.experts if routed else 1)))
        header = Header({"expert_count": self.experts, "expert_used_count": self.used})
        header.values |= {"attention.head_count_kv": 8, "block_count": self.blocks}
        kv = 4 * self.kv * self.blocks * tokens
        return load_of(tensors, header, kv=kv, work=600 << 20, host=1 * G)


SHAPES = {
    "7b": Shape(32, 4096, 11008, 4096, 32000),
    "70b": Shape(80, 8192, 28672, 1024, 128256),
    "30b-a3b": Shape(48, 2048, 768, 512, 151936, experts=128, used=8),
    "235b-a22b": Shape(94, 4096, 1536, 512, 151936, experts=128, used=8),
    "671b-a37b": Shape(61, 7168, 2048, 576, 129280, experts=256, used=8, dense=3),
    "1t-a32b": Shape(61, 7168, 2048, 576, 163840, experts=384, used=8, dense=1),
}


def machine(host: int, *devices: int) -> Machine:
    return Machine(host * G, tuple(Memory(f"CUDA{i}", free * G) for i, free in enumerate(devices)))


@pytest.mark.parametrize(
    ("name", "where", "kind"),
    [
        ("7b", machine(16, 24), "one"),
        ("7b", machine(16, 24, 8), "one"),
        ("7b", machine(16, 6, 6), "split"),
        ("7b", machine(16, 4), "layers"),
        ("70b", machine(128, 80), "one"),
        ("70b", machine(128, 24, 24), "split"),
        ("70b", machine(64, 24), "layers"),
        ("30b-a3b", machine(64, 24), "one"),
        ("30b-a3b", machine(64, 12), "experts"),
        ("235b-a22b", machine(256, 24), "experts"),
        ("235b-a22b", machine(256, *[24] * 8), "split"),
        ("671b-a37b", machine(1024, 24), "experts"),
        ("671b-a37b", machine(1024, *[80] * 8), "split"),
        ("1t-a32b", machine(1024, 48, 48), "experts"),
    ],
)
def test_real_models_on_machines_that_people_have(name: str, where: Machine, kind: str):
    load = SHAPES[name].load(8192)
    found = place(load, where)
    assert found
    assert found.fits(where)
    used = sum(size > 0 for size in found.split)
    everything = found.layers == len(load.layers)
    if kind == "layers":
        assert used == 1
        assert 0 < found.layers < len(load.layers)
    else:
        assert everything
        assert (used > 1) == (kind == "split" or (len(where.devices) == 2 and kind == "experts"))
        assert bool(found.experts_on_host) == (kind == "experts")
    assert found.seconds < on_host(load, where).seconds


def test_a_trillion_on_eight_small_cards_takes_no_noticeable_time():
    load, where = SHAPES["1t-a32b"].load(32768), machine(1024, *[24] * 8)
    found = place(load, where)
    assert found
    assert found.layers == len(load.layers)


def test_without_memory_there_is_no_placement():
    assert place(SHAPES["70b"].load(8192), machine(16, 8)) is None
    assert place(SHAPES["7b"].load(8192), machine(16)) is not None


def test_spreading_uses_every_device_as_it_has_room():
    found = spread(SHAPES["7b"].load(8192), machine(16, 48, 24, 24))
    assert found.split == (17, 8, 8)
    assert found.fits(machine(16, 48, 24, 24))


def test_pinned_experts_are_on_the_host():
    load = SHAPES["30b-a3b"].load(8192)
    found, free = place(pin_experts(load, 10), machine(64, 80)), place(load, machine(64, 80))
    assert found
    assert free
    assert found.host - free.host == sum(layer.experts for layer in load.layers[:10]) > 0
    assert found.layers == len(load.layers)


def test_tied_embeddings_are_on_both_sides():
    tensors = [
        Tensor("token_embd.weight", 500),
        Tensor("blk.0.attn_q.weight", 7),
        Tensor("output_norm.weight", 1),
    ]
    load = load_of(tensors, Header({}), kv=10, work=0, host=0)
    assert load.host == 500
    assert load.layers == (LayerSizes(7, kv=10), LayerSizes(501))
