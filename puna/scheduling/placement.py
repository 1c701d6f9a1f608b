"""Where a model's weights and KV go: a plan over the host's memory and each device's. Pure arithmetic.

libllama places whole layers, in order: the first ones on the host, the others on one device after another,
and the output with the last. The routed experts of a layer on a device may stay on the host. Of these plans,
the one with the least time for a token wins, by the bytes read from each memory and its bandwidth. So one
device is better than several, several are better than experts on the host, and those than whole layers there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

HOST_BANDWIDTH = 40e9
"""Bytes a second. Only its ratio to a device's matters."""

_HOP = 20e-6
"""Seconds that each processor with layers adds to a token, beside its work."""

_MOST_LAYERS = 1024
"""No model has more. A file that claims to have more is not placed on devices."""


@dataclass(frozen=True)
class LayerSizes:
    """A block of a model, or its output; sizes in bytes."""

    weights: int
    """All but routed experts."""
    experts: int = 0
    kv: int = 0
    pinned: int = 0
    """Weights that stay on the host wherever the layer goes."""

    @property
    def total(self) -> int:
        return self.weights + self.experts + self.kv + self.pinned


@dataclass(frozen=True)
class Load:
    """What is to be placed; sizes in bytes."""

    layers: tuple[LayerSizes, ...]
    """In order; the last one is the output."""
    host: int
    """Always on the host: token embeddings, the process, retained sequences outside the pool."""
    work: int
    """Compute buffers on each device that is used."""
    used: float = 1.0
    """The part of a layer's experts that evaluates one token."""


@dataclass(frozen=True)
class Memory:
    """A device's memory, `free` in bytes."""

    name: str
    free: int
    bandwidth: float = 10 * HOST_BANDWIDTH
    shared: bool = False
    """Whether it is part of the host's memory."""


@dataclass(frozen=True)
class Machine:
    """The memory for models: bytes of the host, and devices, the best one first."""

    host: int
    devices: tuple[Memory, ...] = ()

    def without(self, names: Set[str]) -> Machine:
        """The machine without room on these devices."""
        devices = (replace(d, free=0) if d.name in names else d for d in self.devices)
        return replace(self, devices=tuple(devices))


@dataclass(frozen=True)
class Placement:
    """Where everything goes."""

    split: tuple[int, ...]
    """Layers on each of the machine's devices, the output counted as one."""
    experts_on_host: tuple[int, ...]
    """Layers on devices whose experts are not."""
    host: int
    """Bytes of the host, without those of devices that share its memory."""
    devices: tuple[int, ...]
    """Bytes on each device."""
    seconds: float
    """For one token; compares plans."""

    @property
    def layers(self) -> int:
        """How many are on devices: libllama's `n_gpu_layers`."""
        return sum(self.split)

    def fits(self, machine: Machine) -> bool:
        shared = sum(
            size for size, device in zip(self.devices, machine.devices, strict=True) if device.shared
        )
        return self.host + shared <= machine.host and all(
            size <= device.free for size, device in zip(self.devices, machine.devices, strict=True)
        )


def on_host(load: Load, machine: Machine) -> Placement:
    """All on the host, whether it fits or not."""
    return placement_of(load, machine, [0] * len(machine.devices))


def place(load: Load, machine: Machine, layers: int | None = None) -> Placement | None:
    """The fastest placement that fits, with `layers` on devices if that is given; None if none fits."""
    count = len(load.layers)
    if not machine.devices or layers == 0 or count > _MOST_LAYERS:
        placement = on_host(load, machine)
        return placement if placement.fits(machine) else None
    firsts = range(count + 1) if layers is None else [max(0, count - layers)]
    return _Search(load, machine).best(firsts)


def spread(load: Load, machine: Machine, layers: int | None = None) -> Placement:
    """The layers over all devices, in proportion to free memory. They may not fit."""
    return divide(load, machine, [device.free for device in machine.devices], layers)


def divide(load: Load, machine: Machine, shares: Sequence[float], layers: int | None = None) -> Placement:
    """The last `layers` (or all), divided in proportion to `shares`: libllama's tensor_split."""
    count = len(load.layers)
    placed = count if layers is None else min(layers, count)
    sums = list(accumulate(shares))
    if not placed or not sums or sums[-1] <= 0:
        return on_host(load, machine)
    ends = [sum(i * sums[-1] < placed * end for i in range(placed)) for end in sums]
    return placement_of(load, machine, [end - start for start, end in zip([0, *ends], ends, strict=False)])


def placement_of(
    load: Load, machine: Machine, split: Sequence[int], experts_on_host: Iterable[int] = ()
) -> Placement:
    """A placement with these layers on each device, whether it fits or not."""
    at = len(load.layers) - sum(split)
    apart = frozenset(experts_on_host)
    host, seconds = load.host, _HOP if at else 0.0
    for layer in load.layers[:at]:
        host += layer.total
        seconds += _bytes_read(layer, load.used) / HOST_BANDWIDTH
    devices = []
    for device, size in zip(machine.devices, split, strict=True):
        on_device = load.work if size else 0
        for index in range(at, at + size):
            layer = load.layers[index]
            host_experts = layer.experts if index in apart else 0
            host += host_experts + layer.pinned
            on_device += layer.weights + layer.experts - host_experts + layer.kv
        seconds += _token_seconds(load, device, at, at + size, apart)
        devices.append(on_device)
        at += size
    return Placement(tuple(split), tuple(sorted(apart)), host, tuple(devices), seconds)


def _bytes_read(layer: LayerSizes, used: float) -> float:
    """Bytes of weights that one token reads."""
    return layer.weights + layer.pinned + used * layer.experts


def _token_seconds(load: Load, device: Memory, start: int, end: int, apart: frozenset[int]) -> float:
    """What one token takes on a device with these layers."""
    if start == end:
        return 0.0
    seconds = _HOP
    for index in range(start, end):
        layer = load.layers[index]
        host_experts = load.used * layer.experts if index in apart else 0.0
        seconds += (layer.weights + load.used * layer.experts - host_experts) / device.bandwidth
        if index in apart or layer.pinned:
            seconds += 2 * _HOP + (host_experts + layer.pinned) / HOST_BANDWIDTH
    return seconds


class _Partial(NamedTuple):
    """A placement of the first layers, on the host and the first devices."""

    seconds: float
    host: int
    """Bytes of the host, with those of devices that share them."""
    split: tuple[int, ...]
    apart: tuple[int, ...]


class _Search:
    """Dynamic programming over devices and the layer that each begins with.

    Of the ways to the same layer, it keeps those that no other beats in both time and host memory.
    """

    def __init__(self, load: Load, machine: Machine) -> None:
        self._load = load
        self._machine = machine
        layers = load.layers
        sums = lambda sizes: list(accumulate(sizes, initial=0))  # noqa: E731
        self._fixed = sums(layer.weights + layer.kv for layer in layers)
        self._experts = sums(layer.experts for layer in layers)
        self._pinned = sums(layer.pinned for layer in layers)
        self._total = sums(layer.total for layer in layers)
        self._plain_read = sums(layer.weights for layer in layers)
        self._all_read = sums(_bytes_read(layer, load.used) for layer in layers)
        self._hops = sums(bool(layer.pinned) for layer in layers)

    def best(self, firsts: Iterable[int]) -> Placement | None:
        count = len(self._load.layers)
        ways: list[list[_Partial]] = [[] for _ in range(count + 1)]
        for first in firsts:
            host = self._load.host + self._total[first]
            seconds = self._all_read[first] / HOST_BANDWIDTH + (_HOP if first else 0.0)
            if host <= self._machine.host:
                ways[first].append(_Partial(seconds, host, (), ()))
        for device in self._machine.devices:
            ways = self._add_device(device, ways)
        if not ways[count]:
            return None
        fastest = min(ways[count])
        return placement_of(self._load, self._machine, fastest.split, fastest.apart)

    def _add_device(self, device: Memory, ways: list[list[_Partial]]) -> list[list[_Partial]]:
        """The partial placements after `device` has taken the next layers, or none."""
        after = [[way._replace(split=(*way.split, 0)) for way in here] for here in ways]
        for start, here in enumerate(ways):
            if not here:
                continue
            for end in range(start + 1, len(ways)):
                if self._fixed[end] - self._fixed[start] + self._load.work > device.free:
                    break
                step = self._segment(device, start, end)
                for way in here:
                    host = way.host + step.host
                    if host <= self._machine.host:
                        split = (*way.split, end - start)
                        _keep(
                            after[end],
                            _Partial(way.seconds + step.seconds, host, split, way.apart + step.apart),
                        )
        return after

    def _segment(self, device: Memory, start: int, end: int) -> _Partial:
        """These layers on a device; as few experts as possible, the first, stay on the host."""
        on_device = self._fixed[end] - self._fixed[start] + self._load.work
        experts = self._experts[end] - self._experts[start]
        excess = max(0, on_device + experts - device.free)
        stays = bisect_left(self._experts, self._experts[start] + excess, lo=start, hi=end)
        apart = tuple(i for i in range(start, stays) if self._load.layers[i].experts)
        host_experts = self._experts[stays] - self._experts[start]
        pinned = self._pinned[end] - self._pinned[start]
        read = self._plain_read[end] - self._plain_read[start] + self._load.used * (experts - host_experts)
        hops = self._hops[end] - self._hops[start] + sum(not self._load.layers[i].pinned for i in apart)
        seconds = (
            _HOP
            + read / device.bandwidth
            + 2 * _HOP * hops
            + (self._load.used * host_experts + pinned) / HOST_BANDWIDTH
        )
        shared = on_device + experts - host_experts if device.shared else 0
        return _Partial(seconds, host_experts + pinned + shared, (), apart)


def _keep(ways: list[_Partial], new: _Partial) -> None:
    """Add `new`, unless another is as good, and drop those that it dominates."""
    if any(way.seconds <= new.seconds and way.host <= new.host for way in ways):
        return
    ways[:] = [way for way in ways if way.seconds < new.seconds or way.host < new.host]
    ways.append(new)


def pin_experts(load: Load, layers: int) -> Load:
    """The load with the experts of the first `layers` on the host (llama.cpp's --n-cpu-moe)."""
    pinned = [
        replace(layer, experts=0, pinned=layer.pinned + layer.experts) if index < layers else layer
        for index, layer in enumerate(load.layers)
    ]
    return replace(load, layers=tuple(pinned))
