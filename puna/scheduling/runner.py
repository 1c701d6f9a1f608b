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
    """A runner's life. A runner drains while READY: the queue holds new requests back."""

    LOADING = auto()
    READY = auto()
    CLOSED = auto()


@dataclass(eq=False)
class Runner:
    """A model that is loading, loaded or closing; one of its replicas, where it has several."""

    model: Model
    spec: LoadSpec
    size: int
    """Estimated bytes of host memory."""
    devices: dict[str, int]
    """Bytes of each device: estimated, then as the engine reports."""
    keep_alive: float
    """Seconds it stays after its last lease, as the latest request set it."""
    state: RunnerState = RunnerState.LOADING
    engine: Engine | None = None
    leases: int = 0
    traffic: Traffic = field(default_factory=Traffic, repr=False)
    used: int = 0
    """Logical time when it was last lent or went idle."""
    task: asyncio.Task[None] | None = None
    """Its load, later its close."""
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def key(self) -> RunnerKey:
        return self.spec.files

    @property
    def full(self) -> bool:
        """It decodes as many sequences as it can at once."""
        return self.leases >= self.spec.parallel

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
