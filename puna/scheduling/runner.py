"""One model in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from puna.load import LoadSpec
from puna.scheduling.facts import RunnerKey
from puna.scheduling.routing import Traffic
from puna.types import Engine

if TYPE_CHECKING:
    from puna.library import Model


class RunnerState(Enum):
    """A draining runner is READY too: the scheduler gives it no new leases."""

    LOADING = auto()
    READY = auto()
    CLOSED = auto()


@dataclass(eq=False)
class Runner:
    """An engine of a model: loading, loaded or closing."""

    model: Model
    spec: LoadSpec
    size: int
    """Estimated bytes of host memory."""
    devices: dict[str, int]
    """Bytes of each device: estimated, then as the engine reports."""
    keep_alive: float
    """Seconds that it stays after its last lease: that of the latest request."""
    state: RunnerState = RunnerState.LOADING
    engine: Engine | None = None
    leases: int = 0
    traffic: Traffic = field(default_factory=Traffic, repr=False)
    used: int = 0
    """Logical time when a lease last began, or the last one ended."""
    task: asyncio.Task[None] | None = None
    """Its load, later its close."""
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def key(self) -> RunnerKey:
        return self.spec.files

    @property
    def full(self) -> bool:
        """Whether all its parallel sequences are in use."""
        return self.leases >= self.spec.parallel

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
