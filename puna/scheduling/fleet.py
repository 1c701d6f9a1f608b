"""The runners: their loads, leases, keep-alive and closing. The scheduler decides which requests get them."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from puna.errors import LoadFailed
from puna.load import Device, EngineInfo, LoadSpec
from puna.scheduling.facts import RunnerKey
from puna.scheduling.learned import LearnedSizes
from puna.scheduling.machine import Room, device_room
from puna.scheduling.memory import Budget
from puna.scheduling.placement import Machine
from puna.scheduling.runner import Runner, RunnerState
from puna.settings import Settings
from puna.types import Engine

if TYPE_CHECKING:
    from puna.library import Model

log = logging.getLogger(__name__)

_LONGEST = (2**63 - 1) / 1e9  # seconds in Go's longest duration, which means forever


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory; sizes in bytes, context in tokens."""

    model: Model
    size: int
    size_vram: int
    expires_at: datetime
    context_length: int
    replicas: int
    """Engines of it. Sizes are of all together."""


class Fleet:
    """Runners, one or more for the same files. Calls `on_change` after each load and close."""

    def __init__(
        self,
        settings: Settings,
        start: Callable[[LoadSpec], Awaitable[Engine]],
        on_change: Callable[[], None],
        on_failed: Callable[[Runner, LoadFailed], None],
    ) -> None:
        self.runners: list[Runner] = []
        """Loading or ready."""
        self._closing: set[Runner] = set()
        self._settings = settings
        self._start = start
        self._on_change = on_change
        self._on_failed = on_failed
        self._budget = Budget(settings.memory)
        self._events = 0
        self.version = 0
        """Incremented when the memory of runners changes."""
        self.learned = LearnedSizes()
        self.died = 0
        """Engines that died after they were ready."""

    @property
    def excess(self) -> int:
        """Leases beyond the engines' parallel sequences."""
        return sum(max(0, r.leases - r.spec.parallel) for r in self.runners)

    @property
    def leases(self) -> int:
        return sum(runner.leases for runner in self.runners)

    def replicas(self, key: RunnerKey) -> list[Runner]:
        """The runners of one model, the first one first."""
        return [runner for runner in self.runners if runner.key == key]

    def loaded_models(self) -> list[LoadedModel]:
        """The models in memory, the last to expire first."""
        now = asyncio.get_running_loop().time()
        wall = datetime.now().astimezone()
        alive: defaultdict[RunnerKey, list[tuple[Runner, EngineInfo]]] = defaultdict(list)
        for runner in self.runners:
            if runner.engine is not None and runner.engine.alive:
                alive[runner.key].append((runner, runner.engine.info))
        models = []
        for replicas in alive.values():
            first, info = replicas[0]
            remaining = first.timer.when() - now if first.timer else first.keep_alive
            models.append(
                LoadedModel(
                    model=first.model,
                    size=sum(info.size for _, info in replicas),
                    size_vram=sum(info.size_vram for _, info in replicas),
                    expires_at=wall + timedelta(seconds=min(remaining, _LONGEST)),
                    context_length=info.num_ctx,
                    replicas=len(replicas),
                )
            )
        return sorted(models, key=lambda m: m.expires_at, reverse=True)

    def room(self, devices: Iterable[Device] = ()) -> Room:
        """The memory that is left. Closing runners still count."""
        runners = [*self.runners, *self._closing]
        loading = [r for r in runners if r.state is RunnerState.LOADING]
        loaded = [r for r in runners if r.state is not RunnerState.LOADING]
        now, alone = self._budget.room(sum(r.size for r in runners), sum(r.size for r in loading))
        free, most = device_room(devices, loaded, loading, self._settings)
        slots = (self._settings.max_loaded_models or math.inf) - len(runners)
        return Room(Machine(now, free.devices), Machine(alone, most.devices), slots)

    def make_room(self, room: Room, enough: Callable[[Room], bool], *, busy: bool = True) -> set[Runner]:
        """Retire idle runners, least recently used first, until the `room` after their close is `enough`.

        If that does not suffice and `busy` is true, returns the busy runners that must drain.
        """
        for runner in self._closing:
            room = room.after_close(runner)
        draining = set()
        ready = [r for r in self.runners if r.state is RunnerState.READY and (busy or not r.leases)]
        for victim in sorted(ready, key=lambda r: (r.leases > 0, r.used)):
            if enough(room):
                break
            room = room.after_close(victim)
            if victim.leases:
                draining.add(victim)
            else:
                self.retire(victim)
        return draining

    def without_idle(self, room: Room) -> Room:
        """The `room` after closing and idle runners are gone."""
        idle = [r for r in self.runners if r.state is RunnerState.READY and not r.leases]
        for runner in (*self._closing, *idle):
            room = room.after_close(runner)
        return room

    def begin(self, runner: Runner) -> None:
        """Load a new runner. The load continues if its request is cancelled."""
        self.runners.append(runner)
        self.version += 1
        runner.task = asyncio.get_running_loop().create_task(self._load(runner))

    def lend(self, runner: Runner, keep_alive: float) -> None:
        for replica in self.replicas(runner.key):
            replica.stop_timer()
            replica.keep_alive = keep_alive
        runner.leases += 1
        self._touch(runner)

    def take_back(self, runner: Runner) -> None:
        runner.leases -= 1
        if not runner.leases:
            self._touch(runner)
            self._start_keep_alive(runner.key)

    def retire(self, runner: Runner) -> asyncio.Task[None]:
        """Remove a runner and close its engine. The task ends when its memory is free."""
        runner.stop_timer()
        if runner.engine is not None and not runner.engine.alive:
            self.died += 1
            if runner.engine.exhausted and self.learned.set_limits(runner.key, runner.devices):
                log.warning("%s ran out of memory; it gets less on the GPUs from now on", runner.spec.path)
        runner.state = RunnerState.CLOSED
        self.runners.remove(runner)
        self._closing.add(runner)
        runner.task = asyncio.get_running_loop().create_task(self._end(runner))
        return runner.task

    def drop_dead(self) -> None:
        """Retire every runner whose engine has died, leased or not."""
        for runner in list(self.runners):
            if runner.engine is not None and not runner.engine.alive:
                self.retire(runner)

    async def close(self) -> None:
        """Stop loads and end every engine, leased or not."""
        loads = [r.task for r in self.runners if r.state is RunnerState.LOADING and r.task]
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        for runner in list(self.runners):
            self.retire(runner)
        await asyncio.gather(*(r.task for r in self._closing if r.task), return_exceptions=True)

    async def _load(self, runner: Runner) -> None:
        seconds = self._settings.load_timeout
        try:
            runner.engine = await asyncio.wait_for(
                self._start(runner.spec), seconds if math.isfinite(seconds) else None
            )
        except asyncio.TimeoutError:
            self._fail(runner, LoadFailed(f"timed out waiting for the model to load ({seconds:g} s)"))
        except LoadFailed as error:
            self._fail(runner, error)
        except Exception as error:
            log.exception("loading %s", runner.spec.path)
            self._fail(runner, LoadFailed(f"unable to load model: {error}"))
        else:
            runner.state = RunnerState.READY
            self.version += 1
            self.learned.note(runner.spec, runner.devices, runner.engine.info.devices)
            runner.devices = runner.engine.info.devices
            self._touch(runner)
            self._on_change()
            self._start_keep_alive(runner.key)

    def _fail(self, runner: Runner, error: LoadFailed) -> None:
        runner.state = RunnerState.CLOSED
        self.version += 1
        self.runners.remove(runner)
        self._on_failed(runner, error)
        self._on_change()

    def _start_keep_alive(self, key: RunnerKey) -> None:
        """Start the keep-alive of a model without leases. Its replicas end together."""
        replicas = self.replicas(key)
        if any(runner.leases for runner in replicas):
            return
        for runner in replicas:
            if runner.state is RunnerState.READY:
                self._count_down(runner)

    def _count_down(self, runner: Runner) -> None:
        runner.stop_timer()
        if runner.keep_alive <= 0 or not (runner.engine and runner.engine.alive):
            self.retire(runner)
        elif math.isfinite(runner.keep_alive):
            runner.timer = asyncio.get_running_loop().call_later(runner.keep_alive, self.retire, runner)

    async def _end(self, runner: Runner) -> None:
        try:
            if runner.engine is not None:
                await runner.engine.close()
        except Exception:
            log.exception("closing %s", runner.spec.path)
        finally:
            self._closing.discard(runner)
            self.version += 1
            self._on_change()

    def _touch(self, runner: Runner) -> None:
        self._events += 1
        runner.used = self._events
