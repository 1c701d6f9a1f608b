"""Chooses how to load a model: the plan of its context and pool, and its placement."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from msgspec.structs import replace as replace_struct

from puna.errors import BadRequest
from puna.load import Device, LoadSpec, Placed
from puna.options import Options
from puna.scheduling.facts import Facts
from puna.scheduling.learned import LearnedSizes
from puna.scheduling.memory import ENCODER_CACHE, PROCESS, estimate_projector
from puna.scheduling.placement import (
    HOST_BANDWIDTH,
    Load,
    Machine,
    Memory,
    Placement,
    divide,
    on_host,
    pin_experts,
    place,
    spread,
)
from puna.scheduling.plan import drafter_size, footprint, model_footprint, plan
from puna.scheduling.tensors import load_of, override
from puna.settings import Settings

_NOWHERE = Placed()

_HOST = "CPU"
"""libllama's name of the host in tensor overrides."""

_GPU, _INTEGRATED = 10 * HOST_BANDWIDTH, 2 * HOST_BANDWIDTH
_AS_FAST = 1 + 1e-6
_ESTIMATE_SUFFICES = 0.75
"""Below this part of each memory, an estimate is exact enough."""


@dataclass(frozen=True)
class Choice:
    """How a model is to be loaded."""

    spec: LoadSpec
    placement: Placement
    fits: bool
    shared: int = 0
    """Bytes on devices that share the host's memory."""
    whole: bool = False
    """All layers are on one device."""
    dry_run_placement: Placed = _NOWHERE
    """This placement or, if it uses no device, all layers on the best one."""

    @property
    def host(self) -> int:
        """Bytes of the host's memory."""
        return self.placement.host + self.shared

    def devices(self) -> dict[str, int]:
        """Bytes on each device that is used."""
        pairs = zip(self.placement.devices, self.placement.split, strict=True)
        return dict(zip(self.spec.placed.devices, (size for size, layers in pairs if layers), strict=False))

    @property
    def dry_run_spec(self) -> LoadSpec:
        """The spec for libllama's dry run, which takes no memory and can try what does not fit."""
        return replace_struct(self.spec, placed=self.dry_run_placement)

    def fits_outside(self, devices: Set[str]) -> bool:
        """Whether all of it fits on one device that is not in `devices`."""
        return self.fits and self.whole and devices.isdisjoint(self.spec.placed.devices)

    def estimate_suffices(self, machine: Machine) -> bool:
        """Whether exact sizes would not change the placement.

        Without devices to choose from, sizes only decide whether the model is refused.
        """
        if not machine.devices or not self.spec.num_gpu:
            return self.fits
        used = self.devices()
        return self.whole and all(used.get(d.name, 0) <= _ESTIMATE_SUFFICES * d.free for d in machine.devices)


def memory(device: Device, free: int) -> Memory:
    """A device's memory for placement, with `free` bytes."""
    return Memory(device.name, max(0, free), _INTEGRATED if device.shared else _GPU, device.shared)


def choose(
    facts: Facts, options: Options, settings: Settings, machine: Machine, learned: LearnedSizes | None = None
) -> Choice:
    """The fastest way to load a model on `machine`, and whether it fits there.

    The pool grows beyond what is needed only where that slows nothing. Raises BadRequest, naming the option,
    for GPUs that are not there.
    """
    learned = learned or LearnedSizes()
    if not machine.devices:
        spec = plan(facts, options, settings, machine.host)
        size = _host_size(facts, spec, learned)
        return Choice(spec, Placement((), (), size, (), 0.0), size <= machine.host)
    check_options(options, [device.name for device in machine.devices])
    machine = _sort_devices(learned.limit_machine(facts.key, machine), options)

    def attempt(available: int) -> tuple[LoadSpec, Load, Placement]:
        # Rollback is unverified on devices.
        spec = replace_struct(plan(facts, options, settings, available), rollback=0)
        load = pin_experts(_load(facts, spec, learned), options.n_cpu_moe)
        return spec, load, _best_placement(load, machine, options, settings)

    spec, load, placement = attempt(0)
    if placement.fits(machine):
        used = [d.free for d, size in zip(machine.devices, placement.split, strict=True) if size]
        ample, load, larger = attempt(sum(used) or machine.host)
        if larger.fits(machine) and larger.seconds <= placement.seconds * _AS_FAST:
            spec, placement = ample, larger
    placed = _engine_placement(placement, machine, options, len(load.layers) - 1)
    pairs = zip(machine.devices, placement.devices, strict=True)
    shared = sum(size for device, size in pairs if device.shared)
    layers = len(load.layers)
    whole = max(placement.split) == layers and not placement.experts_on_host
    dry = placed if placed.devices else Placed(devices=(machine.devices[0].name,), split=(layers,))
    return Choice(replace_struct(spec, placed=placed), placement, placement.fits(machine), shared, whole, dry)


def check_options(options: Options, devices: Sequence[str]) -> None:
    """Raises BadRequest for options that do not suit GPUs of these names."""
    there = len(devices)
    words = f"this machine has {there} GPU{'s' * (there != 1)}"
    if options.main_gpu is not None and options.main_gpu >= there:
        raise bad_option("main_gpu", f"it is {options.main_gpu}, and {words}, counted from 0")
    if options.replicas > there:
        raise bad_option("replicas", f"it is {options.replicas}, and {words}")
    shares = options.tensor_split
    if shares and options.replicas > 1:
        raise bad_option("replicas", "each would be on one GPU, and tensor_split divides the model")
    if len(shares) > there:
        raise bad_option("tensor_split", f"it is for {len(shares)} GPUs, and {words}")
    if shares and not (all(0 <= share < math.inf for share in shares) and sum(shares) > 0):
        raise bad_option("tensor_split", "it must have one number from 0 on for each GPU, not all 0")
    names = {_HOST, *devices}
    for text in options.override_tensor:
        pattern, name = rule(text)
        if name not in names:
            raise bad_option("override_tensor", f'"{name}" is not one of {", ".join(sorted(names))}')
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise bad_option("override_tensor", f'"{pattern}" is no regular expression: {error}') from None


def bad_option(option: str, why: str) -> BadRequest:
    """The error for an option that does not suit this machine or model."""
    return BadRequest(f'option "{option}" cannot be followed: {why}', f"options.{option}")


def rule(text: str) -> tuple[str, str]:
    """The pattern and the name of a memory in "pattern=name" (llama.cpp's --override-tensor)."""
    pattern, _, name = text.rpartition("=")
    return pattern, name.strip()


def _sort_devices(machine: Machine, options: Options) -> Machine:
    """The devices in the order in which they are filled: the fastest, then the one with the most room.

    A requested main device comes first. A requested split keeps the order in which they are listed.
    """
    devices = list(machine.devices)
    if not options.tensor_split:
        devices.sort(key=lambda device: (-device.bandwidth, -device.free))
    if options.main_gpu is not None and options.main_gpu >= 0:
        main = machine.devices[options.main_gpu]
        devices.sort(key=lambda device: device.name != main.name)
    return replace(machine, devices=tuple(devices))


def _best_placement(load: Load, machine: Machine, options: Options, settings: Settings) -> Placement:
    """The best placement for the options. If none fits, one that shows how much it needs."""
    layers = min(options.num_gpu, len(load.layers)) if options.num_gpu >= 0 else None
    shares = [*options.tensor_split, *[0.0] * len(machine.devices)][: len(machine.devices)]
    if options.tensor_split:
        return _fit(lambda count: divide(load, machine, shares, count), load, machine, layers)
    if settings.spread and options.replicas <= 1:
        return _fit(lambda count: spread(load, machine, count), load, machine, layers)
    placement = place(load, machine, layers)
    if placement or layers is None:
        return placement or on_host(load, machine)
    return spread(load, machine, layers)


def _fit(way: Callable[[int], Placement], load: Load, machine: Machine, layers: int | None) -> Placement:
    """`way` with as many layers as fit on devices, or with `layers` if that is given."""
    if layers is not None:
        return way(layers)
    ways = (way(count) for count in range(len(load.layers), -1, -1))
    return next((placement for placement in ways if placement.fits(machine)), way(0))


def _host_size(facts: Facts, spec: LoadSpec, learned: LearnedSizes) -> int:
    """Bytes of a model that is entirely on the host."""
    size = footprint(facts, spec).total(spec.pool)
    if dry_run := learned.dry_run_of(spec):
        needs = model_footprint(facts, spec)
        size += dry_run.cache + dry_run.host - (needs.total(spec.pool) - needs.weights - PROCESS)
    return size


def _load(facts: Facts, spec: LoadSpec, learned: LearnedSizes) -> Load:
    """The sizes to place of a model loaded as `spec`."""
    needs = model_footprint(facts, spec)
    kv, work = needs.kv_per_token * spec.pool, needs.compute - PROCESS
    host_work = work
    if dry_run := learned.dry_run_of(spec):
        kv, work, host_work = dry_run.cache, max(dry_run.devices.values(), default=work), dry_run.host
    host = PROCESS + spec.cache + host_work + max(0, facts.weights_size - sum(t.size for t in facts.tensors))
    beside = 0
    if projector := facts.projector:
        beside = estimate_projector(projector.metadata, projector.size, spec.num_ctx) - ENCODER_CACHE
        host += ENCODER_CACHE
    beside += drafter_size(facts, spec)
    on_host = [re.compile(pattern) for pattern, name in map(rule, spec.override_tensor) if name == _HOST]
    return load_of(
        facts.tensors,
        facts.metadata,
        kv=kv,
        work=max(0, work + learned.work_error(spec)),
        host=host,
        beside=beside,
        pinned=lambda name: any(pattern.search(name) for pattern in on_host),
    )


def _engine_placement(placement: Placement, machine: Machine, options: Options, blocks: int) -> Placed:
    """A placement in the engine's form, for a model of `blocks` blocks."""
    used = {d.name: size for d, size in zip(machine.devices, placement.split, strict=True) if size}
    if not used:
        return Placed()
    rules: list[tuple[str, str]] = list(map(rule, options.override_tensor))
    named = {name: 0 for _, name in rules if name != _HOST and name not in used}
    there = range(blocks)[: max(0, options.n_cpu_moe)]
    if apart := sorted({*there, *placement.experts_on_host}):
        rules.append((override(apart), _HOST))
    return Placed(devices=(*used, *named), split=(*used.values(), *named.values()), overrides=tuple(rules))


def describe(placed: Placed, sizes: Mapping[str, int]) -> str:
    """A placement in words, for the log."""
    parts = (
        f"{count} layers on {name} ({sizes.get(name, 0) >> 20} MiB)"
        for name, count in zip(placed.devices, placed.split, strict=True)
    )
    return ", ".join(parts) or "all on the CPU"
