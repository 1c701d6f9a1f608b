"""Measured sizes of models: from dry runs, from loaded engines, and from failed allocations."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from puna.load import DryRun, LoadSpec
from puna.scheduling.facts import RunnerKey
from puna.scheduling.placement import Machine

_SMALLER = 0.8
"""After a failed allocation, the second try takes this part of the size on the device."""

_MAX_DRY_RUNS = 8
"""For one model, because each query of the free memory may change its plan."""

_log = logging.getLogger(__name__)


@dataclass
class LearnedSizes:
    """The measured sizes of models, as long as the server runs."""

    _work: dict[tuple[object, ...], int] = field(default_factory=dict)
    _dry_runs: dict[tuple[object, ...], DryRun] = field(default_factory=dict)
    _limits: dict[RunnerKey, dict[str, int]] = field(default_factory=dict)

    def add_dry_run(self, spec: LoadSpec, result: DryRun) -> None:
        """Record a dry run of `spec`; it replaces estimates and their measured errors."""
        self._dry_runs[_size_key(spec)] = result
        self._work.pop(_size_key(spec), None)

    def dry_run_of(self, spec: LoadSpec) -> DryRun | None:
        """The dry run of a load like `spec`, on any devices."""
        return self._dry_runs.get(_size_key(spec))

    def note(self, spec: LoadSpec, planned: Mapping[str, int], real: Mapping[str, int]) -> None:
        """Record that a model loaded as `spec` takes `real` bytes of the devices instead of `planned`."""
        if real:
            error = max(size - planned.get(name, 0) for name, size in real.items())
            self._work[_size_key(spec)] = self.work_error(spec) + error

    def work_error(self, spec: LoadSpec) -> int:
        """Bytes on a device by which an estimate for `spec` is too low; negative if too high."""
        return self._work.get(_size_key(spec), 0)

    def set_limits(self, key: RunnerKey, planned: Mapping[str, int]) -> bool:
        """Record that a device had no room, and limit the model. True the first time, to try again."""
        limits = self._limits.setdefault(key, {})
        first = not planned.keys() <= limits.keys()
        if first:
            limits.update((name, int(_SMALLER * size)) for name, size in planned.items())
        return first

    def limit_machine(self, key: RunnerKey, machine: Machine) -> Machine:
        """`machine` with the free memory of each device limited to what this model may use."""
        limits = self._limits.get(key, {})
        devices = (replace(d, free=min(d.free, limits.get(d.name, d.free))) for d in machine.devices)
        return replace(machine, devices=tuple(devices))


def _size_key(spec: LoadSpec) -> tuple[object, ...]:
    """What the sizes of a model's cache and work buffers depend on."""
    return (*spec.files, spec.pool, spec.num_batch, spec.parallel, spec.kv_cache_type)


class DryRuns:
    """Dry runs, one at a time, one for each plan. `on_change` is called after each."""

    def __init__(
        self,
        dry_run: Callable[[LoadSpec], Awaitable[DryRun | None]] | None,
        learned: LearnedSizes,
        on_change: Callable[[], None],
    ) -> None:
        self._dry_run = dry_run
        self._learned = learned
        self._on_change = on_change
        self._begun: defaultdict[RunnerKey, set[LoadSpec]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def done(self, spec: LoadSpec) -> bool:
        """Whether a dry run of `spec` is done or not worth it; otherwise starts one."""
        if self._dry_run is None:
            return True
        begun = self._begun[spec.files]
        if self._task is None:
            if spec in begun or len(begun) >= _MAX_DRY_RUNS:
                return True
            begun.add(spec)
            self._task = asyncio.get_running_loop().create_task(self._run(self._dry_run, spec))
        return False

    async def _run(self, dry_run: Callable[[LoadSpec], Awaitable[DryRun | None]], spec: LoadSpec) -> None:
        try:
            if result := await dry_run(spec):
                _log.info(
                    "dry run of %s: %d MiB of cache, work %s", spec.path, result.cache >> 20, result.devices
                )
                self._learned.add_dry_run(spec, result)
        finally:
            self._task = None
        self._on_change()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
