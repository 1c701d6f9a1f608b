"""The memory of the host and of each device that runners do not use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from puna.load import Device, Devices
from puna.scheduling.choice import memory
from puna.scheduling.placement import Machine
from puna.settings import Settings

_FRESH = 5.0
"""Seconds for which a device's free memory is trusted."""

_RESERVE = 128 << 20
"""Bytes of each device reserved for the driver."""


class RunnerMemory(Protocol):
    """A runner's memory in bytes, measured or estimated."""

    @property
    def size(self) -> int: ...

    @property
    def devices(self) -> dict[str, int]: ...


@dataclass(frozen=True)
class Room:
    """The memory for one more runner, now and in an empty machine; and how many more may load."""

    now: Machine
    alone: Machine
    slots: float

    def after_close(self, runner: RunnerMemory) -> Room:
        """The room after this runner is closed."""
        most = {device.name: device.free for device in self.alone.devices}
        devices = tuple(
            replace(d, free=min(most[d.name], d.free + runner.devices.get(d.name, 0)))
            for d in self.now.devices
        )
        return Room(Machine(self.now.host + runner.size, devices), self.alone, self.slots + 1)


def device_room(
    devices: Iterable[Device],
    loaded: Iterable[RunnerMemory],
    loading: Iterable[RunnerMemory],
    settings: Settings,
) -> tuple[Machine, Machine]:
    """Two machines of devices only: as they are now, and without runners.

    Devices report the memory of `loaded` runners as used, that of `loading` ones not yet. Some drivers always
    report all memory as free, so the total bounds it.
    """
    reserve = settings.gpu_overhead + _RESERVE
    now, alone = [], []
    for device in devices:
        used = sum(runner.devices.get(device.name, 0) for runner in loaded)
        pending = sum(runner.devices.get(device.name, 0) for runner in loading)
        free = min(device.free - pending, device.total - pending - used)
        now.append(memory(device, free - reserve))
        alone.append(memory(device, min(device.free + used, device.total) - reserve))
    return Machine(0, tuple(now)), Machine(0, tuple(alone))


class Watch:
    """The devices, queried again before each load, in another process.

    `on_change` is called after each query.
    """

    def __init__(self, find: Callable[[], Awaitable[Devices]] | None, on_change: Callable[[], None]) -> None:
        self.seen = Devices()
        self._find = find
        self._on_change = on_change
        self._look: asyncio.Task[None] | None = None
        self._version, self._at = -1, 0.0

    def fresh(self, version: int) -> bool:
        """Whether `seen` is current for the runners' `version`; if not, a query is started."""
        if self._find is None:
            return True
        loop = asyncio.get_running_loop()
        if self._version == version and loop.time() - self._at < _FRESH:
            return True
        if self._look is None:
            self._look = loop.create_task(self._see(self._find, version))
        return False

    async def _see(self, find: Callable[[], Awaitable[Devices]], version: int) -> None:
        try:
            self.seen = await find()
        finally:
            self._look = None
        self._version, self._at = version, asyncio.get_running_loop().time()
        self._on_change()

    def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
