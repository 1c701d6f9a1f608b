"""One model in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from puna.load import LoadSpec
from puna.scheduling.facts import RunnerKey, key
from puna.types import Engine

if TYPE_CHECKING:
    from puna.library import Model


class RunnerState(Enum):
    """A runner's life. It drains while READY with newcomers held back, which is the queue's doing."""

    LOADING = auto()
    READY = auto()
    CLOSED = auto()


@dataclass(eq=False)
class Runner:
    """A model that is loading, loaded or closing."""

    model: Model
    spec: LoadSpec
    size: int
    """Bytes it takes of the host's memory, by estimate."""
    devices: dict[str, int]
    """Bytes it takes of each device: by estimate, and when it is loaded in truth."""
    keep_alive: float
    """Seconds it stays after its last lease: what the latest request asked for."""
    state: RunnerState = RunnerState.LOADING
    engine: Engine | None = None
    leases: int = 0
    used: int = 0
    """When it was last lent or went idle, as a count of such events."""
    task: asyncio.Task[None] | None = None
    """Its load, later its close."""
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def key(self) -> RunnerKey:
        return key(self.spec.path, self.spec.adapters, self.spec.projector, self.spec.draft)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
